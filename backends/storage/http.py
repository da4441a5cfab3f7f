"""What drivers that speak HTTP themselves have in common: one pool, repeats, bodies both ways."""

import asyncio
import random
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Final, TypeVar

import aiohttp

from backends.errors import NoSpace, Unavailable

ATTEMPTS: Final = 3
PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
KEPT_SECONDS: Final = 15
LARGE: Final = 1024 * 1024
READ_BUFFER: Final = 256 * 1024
MILLISECONDS: Final = 1000
BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)
T = TypeVar("T")


def pool(
    *,
    connections: int,
    connect_seconds: float,
    read_seconds: float,
    omitted: Sequence[str] = (),
    ca_file: str = "",
    context: ssl.SSLContext | None = None,
    resets: bool = False,
) -> aiohttp.ClientSession:
    """A session whose bodies come as they are sent; `omitted` are headers it must not make up.

    `ca_file` has the certificates to trust, or `context` does; without them the system's are. With
    `resets` connections are reset instead of closed: there are servers that take a body for whole
    when its connection is closed in the middle.
    """
    trust = context or (ssl.create_default_context(cafile=ca_file) if ca_file else True)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections,
            keepalive_timeout=KEPT_SECONDS,
            ssl=trust,
            socket_factory=sockets(read_seconds, resets=resets),
        ),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=connect_seconds, sock_read=read_seconds
        ),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BUFFER,
        skip_auto_headers=omitted,
    )


def sockets(
    seconds: float, *, resets: bool = False
) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """What makes sockets that break when the other end takes nothing for so long.

    Clients' own timeouts begin when a request is out: without this one, a body would wait for ever
    for a storage that has stopped reading. Only Linux has it. With `resets` closing one is a reset
    (RFC 9293, 3.10.5).
    """

    def made(address: aiohttp.AddrInfoType) -> socket.socket:
        opened = socket.socket(*address[:3])
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            patience = max(int(seconds * MILLISECONDS), 1)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        if resets:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return opened

    return made


async def repeated(
    ask: Callable[[], Awaitable[T]], *, repeatable: bool, attempts: int = ATTEMPTS
) -> T:
    """The answer; what is `repeatable` is asked again, after a pause, where there was none.

    The pause is at least the one that the storage asked for. One that is too long to wait for here
    is left to the caller, who finds it in the error. A storage that kept silent for as long as it
    may is not asked again: the caller has waited.
    """
    for attempt in range(1, attempts if repeatable else 1):
        try:
            return await ask()
        except NoSpace:
            raise
        except Unavailable as error:
            silent = isinstance(error.__cause__, TimeoutError)
            if silent or error.retry_after > LONGEST_PAUSE:
                raise
            await pause(attempt, least=error.retry_after)
    return await ask()


async def pause(attempt: int, *, least: float = 0.0) -> None:
    """Wait before a call is made again; longer after each attempt, the first of which is 1."""
    await asyncio.sleep(max(least, PAUSE * 2**attempt * random.uniform(0.5, 1.0)))


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that an answer asks to wait (RFC 9110, 10.2.3); 0 where it does not."""
    told = headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        until = parsedate_to_datetime(told)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


class Block(BytesIO):
    """Bytes that are sent bit by bit, without a copy of them all, and again if need be."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def getbuffer(self) -> memoryview:
        """For the length, which aiohttp takes from here: a buffer of our own would be a copy."""
        return memoryview(self._data)

    def close(self) -> None:
        """Stay open: aiohttp closes what it has sent, and a vendor's client may send it again."""


def sendable(body: bytes) -> bytes | Block:
    """The body as aiohttp likes it: it cuts only what can be read."""
    return Block(body) if len(body) >= LARGE else body


async def document(response: aiohttp.ClientResponse, subject: str) -> bytes:
    """A small body, whole. Unavailable where it breaks off."""
    try:
        return await response.read()
    except BROKEN as error:
        raise _broken(subject, error) from error


async def stream(response: aiohttp.ClientResponse, subject: str) -> AsyncGenerator[bytes, None]:
    """The bytes of an answer; its connection is used again only when all were read."""
    try:
        while block := await response.content.readany():
            yield block
    except BROKEN as error:
        raise _broken(subject, error) from error
    finally:
        response.release() if response.content.at_eof() else abandon(response)


def abandon(response: aiohttp.ClientResponse) -> None:
    """Give up an answer and its connection at once, whatever of a request is still to be sent.

    Closing alone waits for the other end to take what was written, which may take for ever.
    """
    if response.connection and response.connection.transport:
        response.connection.transport.abort()
    response.close()


def _broken(subject: str, error: BaseException) -> Unavailable:
    return Unavailable(f"{subject}: the storage broke off: {error}")
