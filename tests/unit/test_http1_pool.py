"""Requests over kept connections, against a server that says just what it is told."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trustme

from backends.storage.http import sockets
from backends.storage.http1 import Broken, Origin, Pool, Request, Response, Silent, Stream, Terms

MIB = 1024 * 1024
MEOW = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmeow"
NOTHING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 507 No\r\nContent-Length: 4\r\n\r\nfull"
GET = Request("GET", "/a", {"host": "x"}, repeatable=True)
NOWHERE = Origin("", 0, tls=False)
Act = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request as it came, and the way to answer it."""

    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def body(self, size: int) -> bytes:
        return await self.reader.readexactly(size)


@dataclass
class Server:
    """Does its acts, one for each request, then answers MEOW."""

    acts: list[Act] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: list[BaseException | None] = field(default_factory=list)
    origin: Origin = NOWHERE

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                act = self.acts.pop(0) if self.acts else saying(MEOW)
                await act(Exchange(head, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.ended.append(error)
        finally:
            writer.transport.abort()


def saying(*pieces: bytes, closes: bool = False) -> Act:
    async def act(exchange: Exchange) -> None:
        for piece in pieces:
            exchange.writer.write(piece)
            await exchange.writer.drain()
            await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
        if closes:
            exchange.writer.close()

    return act


async def hang_up(exchange: Exchange) -> None:
    exchange.writer.transport.abort()


async def keep_silent(exchange: Exchange) -> None:
    await exchange.reader.read()


@asynccontextmanager
async def serving(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.origin = Origin("127.0.0.1", port, tls=tls is not None)
    async with listening:
        yield


@asynccontextmanager
async def pooling(
    connections: int = 4, read: float = 5.0, kept: float = 15.0, trust: ssl.SSLContext | None = None
) -> AsyncIterator[Pool]:
    terms = Terms(
        connections=connections,
        connect_seconds=2.0,
        read_seconds=read,
        kept_seconds=kept,
        trust=trust or ssl.create_default_context(),
        opened=sockets(read, resets=True),
    )
    pool = Pool(terms)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    async with serving(made):
        yield made


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with pooling() as made:
        yield made


async def blocks_of(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(response: Response) -> bytes:
    async with response:
        return await response.read()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_one_connection_serves_one_request_after_the_other(
    server: Server, pool: Pool
) -> None:
    for _ in range(3):
        assert await read(await pool.send(server.origin, GET)) == b"meow"

    assert server.connections == 1
    assert server.heads[0] == b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_requests_at_a_time_have_connections_of_their_own(server: Server) -> None:
    async with pooling(connections=2) as pool:
        first = await pool.send(server.origin, GET)
        held = [saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"meow")] * 2
        server.acts += held
        answers = await asyncio.gather(*(pool.send(server.origin, GET) for _ in range(2)))
        third = asyncio.create_task(pool.send(server.origin, GET))
        await asyncio.sleep(0.02)
        assert not third.done() or any(answer.ended for answer in answers)
        assert [await read(answer) for answer in answers] == [b"meow", b"meow"]
        assert await read(await third) == b"meow"
        assert await read(first) == b"meow"

    assert server.connections == 2


@pytest.mark.parametrize("size", [0, 1000, 3 * MIB])
@pytest.mark.parametrize("streamed", [True, False])
async def test_bodies_arrive_as_they_were_sent(
    server: Server, pool: Pool, size: int, *, streamed: bool
) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    came: list[bytes] = []

    async def act(exchange: Exchange) -> None:
        came.append(await exchange.body(size))
        await saying(NOTHING)(exchange)

    server.acts = [act]
    body = Stream(blocks_of(data, 100_000), size) if streamed else data
    request = Request("PUT", "/a", {"content-length": str(size)}, body)

    response = await pool.send(server.origin, request)

    assert (response.status, await read(response), came) == (200, b"", [data])


async def test_a_long_answer_waits_for_its_reader(server: Server, pool: Pool) -> None:
    size = 64 * MIB
    written = 0

    async def act(exchange: Exchange) -> None:
        nonlocal written
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(64):
            exchange.writer.write(bytes(MIB))
            await exchange.writer.drain()
            written += MIB

    server.acts = [act]
    response = await pool.send(server.origin, GET)
    await asyncio.sleep(0.2)
    assert written < size // 2

    assert len(await read(response)) == size
    assert await read(await pool.send(server.origin, GET)) == b"meow"
    assert server.connections == 1


async def test_a_long_body_waits_for_the_server(server: Server, pool: Pool) -> None:
    size, sent, ready = 64 * MIB, 0, asyncio.Event()

    async def act(exchange: Exchange) -> None:
        await ready.wait()
        await exchange.body(size)
        await saying(NOTHING)(exchange)

    async def blocks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += MIB
            yield bytes(MIB)

    server.acts = [act]
    request = Request("PUT", "/a", {"content-length": str(size)}, Stream(blocks(), size))
    sending = asyncio.create_task(pool.send(server.origin, request))
    await asyncio.sleep(0.2)
    assert 0 < sent < size // 2
    ready.set()

    assert (await sending).status == 200


@pytest.mark.parametrize("size", [MIB, 64 * MIB])
async def test_a_refusal_ends_the_sending(server: Server, pool: Pool, size: int) -> None:
    async def act(exchange: Exchange) -> None:
        await exchange.body(1000)
        await saying(REFUSED)(exchange)
        await keep_silent(exchange)

    server.acts = [act]
    request = Request("PUT", "/a", {}, Stream(blocks_of(bytes(size), 100_000), size))

    response = await pool.send(server.origin, request)

    assert (response.status, await read(response)) == (507, b"full")
    assert await read(await pool.send(server.origin, GET)) == b"meow"
    assert server.connections == 2  # what was half sent carries nothing else


async def test_success_before_the_body_is_none(server: Server, pool: Pool) -> None:
    async def act(exchange: Exchange) -> None:
        await exchange.body(1000)
        await saying(NOTHING)(exchange)
        await keep_silent(exchange)

    server.acts = [act]
    request = Request("PUT", "/a", {}, Stream(blocks_of(bytes(64 * MIB), 100_000), 64 * MIB))

    with pytest.raises(Broken, match="before it had the body"):
        await pool.send(server.origin, request)


@pytest.mark.parametrize("late", [True, False])
async def test_a_body_that_fails_resets_the_connection(
    server: Server, pool: Pool, *, late: bool
) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield bytes(1000)
        if late:
            await until(lambda: len(server.heads) == 1)
        raise LookupError("no more")

    async def act(exchange: Exchange) -> None:
        await exchange.body(2000)

    server.acts = [act]
    with pytest.raises(LookupError):
        await pool.send(server.origin, Request("PUT", "/a", {}, Stream(blocks(), 2000)))

    if late:
        await until(lambda: bool(server.ended))
        assert isinstance(server.ended[0], ConnectionResetError)


async def test_a_body_that_is_too_short_is_never_taken_for_whole(
    server: Server, pool: Pool
) -> None:
    server.acts = [keep_silent]
    with pytest.raises(Broken, match="1000 bytes, not 2000"):
        await pool.send(
            server.origin, Request("PUT", "/a", {}, Stream(blocks_of(bytes(1000), 500), 2000))
        )


async def test_a_kept_connection_that_is_closed_is_replaced(server: Server, pool: Pool) -> None:
    server.acts = [saying(MEOW, closes=True)]
    await read(await pool.send(server.origin, GET))
    await asyncio.sleep(0.05)

    assert await read(await pool.send(server.origin, Request("PUT", "/a", {}))) == b"meow"
    assert len(server.heads) == 2


@pytest.mark.parametrize("repeatable", [True, False])
async def test_only_what_may_come_twice_is_sent_twice(
    server: Server, pool: Pool, *, repeatable: bool
) -> None:
    await read(await pool.send(server.origin, GET))
    server.acts = [hang_up]
    request = Request("PUT", "/b", {}, repeatable=repeatable)

    if repeatable:
        assert await read(await pool.send(server.origin, request)) == b"meow"
    else:
        with pytest.raises(Broken):
            await pool.send(server.origin, request)

    assert len(server.heads) == (3 if repeatable else 2)


@pytest.mark.parametrize(
    "act",
    [
        hang_up,
        saying(b"HTTP/1.1 200 OK\r\nConte", closes=True),
        saying(b"SSH-2.0\r\n"),
        saying(b"HTTP/1.1 100 Continue\r\n\r\n", closes=True),
    ],
)
async def test_no_answer_on_a_new_connection_is_broken(
    server: Server, pool: Pool, act: Act
) -> None:
    server.acts = [act]

    with pytest.raises(Broken) as raised:
        await pool.send(server.origin, GET)

    assert not isinstance(raised.value, Silent)
    assert len(server.heads) == 1


async def test_a_body_that_is_cut_is_broken(server: Server, pool: Pool) -> None:
    server.acts = [saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"meow", closes=True)]
    response = await pool.send(server.origin, GET)

    with pytest.raises(Broken):
        await read(response)

    assert await read(await pool.send(server.origin, GET)) == b"meow"


@pytest.mark.parametrize(
    "told", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nm"]
)
async def test_a_server_that_stops_is_given_up_in_time(server: Server, told: bytes) -> None:
    async def act(exchange: Exchange) -> None:
        exchange.writer.write(told)
        await keep_silent(exchange)

    server.acts = [act]
    async with pooling(read=0.2) as pool:
        with pytest.raises(Silent):
            await read(await pool.send(server.origin, GET))
        assert await read(await pool.send(server.origin, GET)) == b"meow"


async def test_a_slow_answer_that_goes_on_is_waited_for(server: Server) -> None:
    server.acts = [saying(*(MEOW[at : at + 1] for at in range(len(MEOW))))]
    async with pooling(read=0.3) as pool:
        assert await read(await pool.send(server.origin, GET)) == b"meow"


async def test_where_nobody_listens_is_broken(pool: Pool) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(Broken):
            await pool.send(Origin("127.0.0.1", probe.getsockname()[1], tls=False), GET)


@pytest.mark.parametrize("ending", ["closed", "forgotten", "cancelled"])
async def test_an_answer_that_is_not_read_frees_its_place(server: Server, ending: str) -> None:
    async with pooling(connections=1) as pool:
        server.acts = [saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nm"), keep_silent]
        response = await pool.send(server.origin, GET)
        if ending == "closed":
            response.close()
        elif ending == "cancelled":
            waiting = asyncio.create_task(read(response))
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.wait([waiting])
        del response
        gc.collect()
        server.acts = []

        assert await read(await pool.send(server.origin, GET)) == b"meow"

    assert server.connections == 2


async def test_connections_in_no_use_are_closed(server: Server) -> None:
    async with pooling(kept=0.1) as pool:
        await read(await pool.send(server.origin, GET))
        await until(lambda: bool(server.ended))
        assert await read(await pool.send(server.origin, GET)) == b"meow"

    assert server.connections == 2


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b"])
async def test_a_header_ends_where_its_line_does(server: Server, pool: Pool, value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        await pool.send(server.origin, Request("GET", "/a", {"x-a": value}))

    assert server.heads == []


async def test_tls_is_spoken_with_those_that_are_trusted() -> None:
    authority = trustme.CA()
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(offered)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    server = Server()
    data = bytes(3 * MIB)

    async def act(exchange: Exchange) -> None:
        await exchange.body(len(data))
        await saying(MEOW)(exchange)

    async with serving(server, offered):
        async with pooling(trust=trust) as pool:
            server.acts = [act]
            request = Request("PUT", "/a", {}, Stream(blocks_of(data, 100_000), len(data)))
            assert await read(await pool.send(server.origin, request)) == b"meow"
        async with pooling() as pool:
            with pytest.raises(Broken, match="certificate"):
                await pool.send(server.origin, GET)
