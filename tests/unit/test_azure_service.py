"""What the emulator never does: copies that take their time, answers that are lost."""

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from backends.errors import NotFound, PreconditionFailed, Unavailable
from backends.model import Facts, Version
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.source import BytesSource

LARGE = 16 * 1024 * 1024
FIRST = Facts(Version(1, "here"))
PENDING = {"x-ms-copy-id": "ours", "x-ms-copy-status": "pending"}
DONE = {"x-ms-copy-id": "ours", "x-ms-copy-status": "success"}
FAILED = {"x-ms-copy-id": "ours", "x-ms-copy-status": "failed"}
ANOTHERS = {"x-ms-copy-id": "another", "x-ms-copy-status": "success"}
BLOB = {
    "ETag": '"0x1"',
    "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT",
    "Content-Type": "application/octet-stream",
    "x-ms-blob-type": "BlockBlob",
}


@dataclass
class Stub:
    """A blob service of one blob, that tells the states of its copy one after the other."""

    states: Sequence[dict[str, str]] = (DONE,)
    lost: int = 0
    other_kind: bool = False
    bodies: list[bytes] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request.method)
        self.bodies.append(await request.read())
        answer: web.Response = getattr(self, request.method.lower())(request)
        answer.headers["x-ms-request-id"] = "1"  # as every answer of the service has it
        if request.method == "PUT" and self.lost and request.transport:
            self.lost -= 1
            request.transport.abort()
        return answer

    def head(self, _: web.Request) -> web.Response:
        state = self.states[min(self.calls.count("HEAD"), len(self.states)) - 1]
        return web.Response(headers=BLOB | state | self.metadata, body=b"meow")

    def get(self, _: web.Request) -> web.Response:
        span = {"Content-Range": "bytes 0-3/4"}
        return web.Response(status=206, headers=BLOB | span | self.states[0], body=b"meow")

    def put(self, request: web.Request) -> web.Response:
        """Written once: what comes again on a condition is refused."""
        if self.metadata and {"If-Match", "If-None-Match"} & {*request.headers}:
            return web.Response(status=412, headers={"x-ms-error-code": "ConditionNotMet"})
        copies = "x-ms-copy-source" in request.headers
        if copies and self.other_kind:
            return web.Response(status=409, headers={"x-ms-error-code": "InvalidBlobType"})
        self.metadata = {
            name: value for name, value in request.headers.items() if name.startswith("x-ms-meta-")
        }
        headers = {name: BLOB[name] for name in ("ETag", "Last-Modified")}
        return web.Response(status=202 if copies else 201, headers=headers | PENDING)

    def delete(self, _: web.Request) -> web.Response:
        self.other_kind = False
        return web.Response(status=202)


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
async def store(stub: Stub) -> AsyncIterator[AzureStore]:
    app = web.Application(client_max_size=LARGE)
    app.router.add_route("*", "/{tail:.*}", stub.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    opened = AzureStore(AzureOptions(account_url=f"http://127.0.0.1:{port}/me", account_key="AAAA"))
    yield opened
    await opened.close()
    await runner.cleanup()


async def copy(store: AzureStore) -> str:
    return (await store.copy("photos", "cat", "", "photos", "dog", FIRST)).locator


async def test_the_end_of_a_copy_is_awaited(stub: Stub, store: AzureStore) -> None:
    stub.states = (PENDING, PENDING, DONE)

    assert await copy(store) == "0x1"
    assert stub.calls.count("HEAD") > 2


async def test_a_copy_that_failed_is_removed(stub: Stub, store: AzureStore) -> None:
    stub.states = (PENDING, FAILED)

    with pytest.raises(Unavailable, match="failed"):
        await copy(store)
    assert stub.calls[-1] == "DELETE"


async def test_a_copy_that_another_writer_replaced_is_left_alone(
    stub: Stub, store: AzureStore
) -> None:
    stub.states = (PENDING, ANOTHERS)

    with pytest.raises(Unavailable, match="another writer"):
        await copy(store)
    assert set(stub.calls) == {"PUT", "HEAD"}
    assert stub.calls.count("PUT") == 1


@pytest.mark.parametrize("state", [PENDING, FAILED])
async def test_what_a_copy_has_yet_to_fill_is_not_there(
    stub: Stub, store: AzureStore, state: dict[str, str]
) -> None:
    stub.states = (state,)

    with pytest.raises(NotFound):
        await store.head("photos", "dog")
    with pytest.raises(NotFound):
        await store.get("photos", "dog")
    with pytest.raises(NotFound):
        await store.fetch("photos", "dog")


@pytest.mark.parametrize("replacing", [None, "", "0x0"])
async def test_a_write_whose_answer_is_lost_has_happened(
    stub: Stub, store: AzureStore, replacing: str | None
) -> None:
    stub.lost = 1

    stored = await store.put("photos", "cat", BytesSource(b"meow", FIRST), replacing=replacing)

    assert stored.locator == "0x1"
    assert stub.calls.count("PUT") > 1


@pytest.mark.parametrize("replacing", ["", "0x0"])
async def test_a_write_that_another_came_before_is_refused(
    stub: Stub, store: AzureStore, replacing: str
) -> None:
    await store.put("photos", "cat", BytesSource(b"meow", FIRST), replacing="")

    with pytest.raises(PreconditionFailed):
        await store.put("photos", "cat", BytesSource(b"meow", FIRST), replacing=replacing)


@pytest.mark.parametrize("replacing", [None, "0x1"])
async def test_a_blob_of_another_kind_makes_way_for_a_copy(
    stub: Stub, store: AzureStore, replacing: str | None
) -> None:
    stub.other_kind = True

    stored = await store.copy("photos", "cat", "", "photos", "dog", FIRST, replacing=replacing)

    assert stored.locator == "0x1"
    assert [call for call in stub.calls if call != "HEAD"] == ["PUT", "DELETE", "PUT"]


async def test_a_block_whose_answer_is_lost_is_sent_again_whole(
    stub: Stub, store: AzureStore
) -> None:
    data = os.urandom(5 * 1024 * 1024)
    stub.lost = 1

    await store.put("photos", "cat", BytesSource(data, FIRST))

    blocks = [body for body in stub.bodies if len(body) > 1000]
    assert [len(block) for block in blocks] == [4 * 1024 * 1024, 4 * 1024 * 1024, 1024 * 1024]
    assert blocks[0] + blocks[2] == blocks[1] + blocks[2] == data
