"""Bodies arrive whole and once, whatever happens to their chunks."""

import pytest

from backends.errors import BucketNotFound, Corrupt, PreconditionFailed, Unavailable
from backends.model import Facts, Version
from backends.storage.gcs import GCSStore
from tests.gcs.objects import BUCKET, CHUNK, UNIT, Blocks, body_of, get, names, put
from tests.stubs.gcs import Stub, Upset

CHUNKS = "^PUT /upload"
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17]


@pytest.mark.parametrize("size", SIZES)
async def test_a_body_of_unknown_length_arrives(store: GCSStore, size: int) -> None:
    stored = await put(store, "cat", body_of(size))

    assert stored.size == size
    assert await get(store, "cat", stored.locator) == body_of(size)
    found = await store.head(BUCKET, "cat")
    assert (found.size, found.locator) == (size, stored.locator)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("keeps", [0, UNIT, CHUNK], ids=["nothing", "a half", "all"])
@pytest.mark.parametrize("lost", [True, False], ids=["cut", "answered"])
async def test_a_chunk_goes_on_where_the_service_stopped(
    stub: Stub, store: GCSStore, nth: int, keeps: int, lost: bool
) -> None:
    data = body_of(3 * CHUNK + 17)
    stub.upsets = [
        Upset(CHUNKS, times=nth - 1),
        Upset(CHUNKS, keeps=keeps, lost=lost),
    ]

    stored = await put(store, "cat", data)

    assert await get(store, "cat", stored.locator) == data
    assert stub.sessions["s0"].kept == data


@pytest.mark.parametrize("size", [2 * CHUNK, 2 * CHUNK + 5])
async def test_an_upload_whose_last_answer_is_lost_has_happened(
    stub: Stub, store: GCSStore, size: int
) -> None:
    stub.upsets = [Upset(CHUNKS, times=2), Upset(CHUNKS, lost=True)]

    stored = await put(store, "cat", body_of(size))

    assert await get(store, "cat", stored.locator) == body_of(size)
    assert len(stub.sessions) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 408])
async def test_a_chunk_that_the_service_had_no_time_for_comes_again(
    stub: Stub, store: GCSStore, status: int
) -> None:
    stub.upsets = [Upset(CHUNKS, status=status)]

    await put(store, "cat", body_of(3 * CHUNK))

    assert await get(store, "cat") == body_of(3 * CHUNK)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_session_that_is_gone_is_no_missing_bucket(
    stub: Stub, store: GCSStore, status: int
) -> None:
    await put(store, "cat", b"old")
    stub.upsets = [Upset(CHUNKS, times=1), Upset(CHUNKS, status=status)]

    with pytest.raises(Unavailable, match="ended the upload"):
        await put(store, "cat", body_of(3 * CHUNK))

    assert await get(store, "cat") == b"old"


async def test_a_service_that_keeps_nothing_is_not_asked_for_ever(
    stub: Stub, store: GCSStore
) -> None:
    stub.upsets = [Upset(CHUNKS, keeps=0, times=100)]

    with pytest.raises(Unavailable, match="no more"):
        await put(store, "cat", body_of(3 * CHUNK))

    assert stub.count(CHUNKS) < 10
    assert names(stub) == []


async def test_a_service_that_is_down_in_the_middle_is_unavailable(
    stub: Stub, store: GCSStore
) -> None:
    stub.upsets = [Upset(CHUNKS, times=1), Upset(CHUNKS, status=503, times=100)]

    with pytest.raises(Unavailable):
        await put(store, "cat", body_of(3 * CHUNK))

    assert stub.count("^DELETE /upload") == 1
    assert names(stub) == []


async def test_a_body_that_fails_ends_the_session(stub: Stub, store: GCSStore) -> None:
    async def breaks() -> bytes:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.put(BUCKET, "cat", Blocks(body_of(2 * CHUNK), ending=breaks))

    assert stub.sessions["s0"].ended
    assert names(stub) == []


@pytest.mark.parametrize("size", [10, 2 * CHUNK, 2 * CHUNK + 1])
@pytest.mark.parametrize("ignores_hashes", [False, True], ids=["refused", "found out"])
async def test_bytes_that_change_on_their_way_are_corrupt(
    stub: Stub, store: GCSStore, size: int, ignores_hashes: bool
) -> None:
    stub.damages_writes, stub.ignores_hashes = True, ignores_hashes

    with pytest.raises(Corrupt):
        await put(store, "cat", body_of(size))

    assert names(stub) == []


@pytest.mark.parametrize("size", [10, 2 * CHUNK + 1])
async def test_wrong_bytes_do_not_replace_an_object(stub: Stub, store: GCSStore, size: int) -> None:
    old = await put(store, "cat", b"old")
    stub.damages_writes = True

    with pytest.raises(Corrupt):
        await put(store, "cat", body_of(size))

    assert await get(store, "cat", old.locator) == b"old"


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/css", "expires": "never"}])
@pytest.mark.parametrize("size", [3, 2 * CHUNK + 1])
async def test_the_facts_are_those_the_body_ends_with(
    store: GCSStore, size: int, headers: dict[str, str]
) -> None:
    facts = Facts(
        Version(7, "here"), size, "a" * 32, headers=headers, metadata={"ccs-mark": "x", "b": "\xfc"}
    )

    stored = await store.put(BUCKET, "cat", Blocks(body_of(size), facts), replacing="")

    assert stored.facts == facts
    assert (await store.head(BUCKET, "cat")).facts == facts


async def test_another_writer_in_the_last_moment_is_no_missing_bucket(
    stub: Stub, store: GCSStore
) -> None:
    stub.upsets = [Upset("^PATCH", status=412)]

    with pytest.raises(Unavailable, match="another writer"):
        await put(store, "cat", body_of(2 * CHUNK))


@pytest.mark.parametrize("size", [3, 2 * CHUNK])
async def test_a_bucket_that_is_not_there(store: GCSStore, size: int) -> None:
    with pytest.raises(BucketNotFound):
        await store.put("nowhere", "cat", Blocks(body_of(size)))


@pytest.mark.parametrize("size", [3, 2 * CHUNK + 1])
@pytest.mark.parametrize("replacing", [None, "", "there"])
async def test_a_write_whose_answer_is_lost_has_happened(
    stub: Stub, store: GCSStore, size: int, replacing: str | None
) -> None:
    old = (await put(store, "cat", b"old")).locator if replacing else replacing
    stub.upsets = [Upset("^POST /upload", lost=True), Upset("^PUT /upload", lost=True)]

    stored = await put(store, "cat", body_of(size), replacing=old)

    assert await get(store, "cat", stored.locator) == body_of(size)


@pytest.mark.parametrize("size", [3, 2 * CHUNK + 1])
@pytest.mark.parametrize("replacing", ["", "17"])
async def test_a_write_that_another_came_before_is_refused(
    stub: Stub, store: GCSStore, size: int, replacing: str
) -> None:
    await put(store, "cat", b"another", replacing="")

    with pytest.raises(PreconditionFailed):
        await put(store, "cat", body_of(size), replacing=replacing)

    assert await get(store, "cat") == b"another"


async def test_a_write_that_another_comes_before_in_the_middle_is_refused(
    stub: Stub, store: GCSStore
) -> None:
    async def too_late() -> bytes:
        await put(store, "cat", b"another")
        return b"end"

    body = Blocks(body_of(2 * CHUNK), ending=too_late)
    with pytest.raises(PreconditionFailed):
        await store.put(BUCKET, "cat", body, replacing="")

    assert await get(store, "cat") == b"another"


async def test_the_last_facts_wait_until_the_object_may_change_again(
    stub: Stub, store: GCSStore
) -> None:
    """The service limits the changes of one object to one a second (Quotas & limits)."""
    facts = Facts(Version(7, "here"), 2 * CHUNK, "a" * 32)
    stub.upsets = [Upset("^PATCH", status=429, times=4)]

    await store.put(BUCKET, "cat", Blocks(body_of(2 * CHUNK), facts))

    assert (await store.head(BUCKET, "cat")).facts.etag == "a" * 32
