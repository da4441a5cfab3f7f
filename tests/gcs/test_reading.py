"""Bytes come as they are stored, and are those that were stored."""

import gzip

import pytest

from backends.errors import Corrupt, Unavailable
from backends.model import Facts, Version
from backends.storage.gcs import GCSStore
from backends.storage.source import BytesSource
from tests.gcs.objects import BUCKET, CHUNK, body_of, get, put
from tests.stubs.gcs import Stub, Upset

PACKED = gzip.compress(body_of(5000))


async def part(store: GCSStore, key: str, start: int, length: int | None) -> bytes:
    body = await store.get(BUCKET, key, start=start, length=length)
    return b"".join([block async for block in body])


async def test_packed_bytes_of_others_come_as_they_are_stored(stub: Stub, store: GCSStore) -> None:
    told = {"contentEncoding": "gzip", "contentType": "text/plain"}
    item = stub.buckets[BUCKET].store("cat.gz", PACKED, told)

    found = await store.head(BUCKET, "cat.gz")

    assert found.size == len(PACKED)
    assert found.facts.headers == {"content-encoding": "gzip", "content-type": "text/plain"}
    assert await get(store, "cat.gz", str(item.generation)) == PACKED
    for start, length in ((0, 10), (7, None), (3, 1), (len(PACKED) - 1, 100)):
        end = None if length is None else start + length
        assert await part(store, "cat.gz", start, length) == PACKED[start:end]


@pytest.mark.parametrize("size", [100, 2 * CHUNK + 1])
async def test_what_only_says_that_it_is_packed_comes_as_it_went(
    store: GCSStore, size: int
) -> None:
    facts = Facts(Version(1, "here"), headers={"content-encoding": "gzip"})

    stored = await store.put(BUCKET, "cat", BytesSource(body_of(size), facts))

    assert await get(store, "cat", stored.locator) == body_of(size)
    assert (await store.head(BUCKET, "cat")).facts.headers == facts.headers


async def test_bytes_that_changed_are_not_passed_off_as_whole(stub: Stub, store: GCSStore) -> None:
    stored = await put(store, "cat", b"meow")
    stub.damages_reads = True

    with pytest.raises(Corrupt):
        await get(store, "cat", stored.locator)


@pytest.mark.parametrize("size", [0, 10])
@pytest.mark.parametrize("start", [10, 11])
async def test_there_is_nothing_behind_the_end(store: GCSStore, size: int, start: int) -> None:
    stored = await put(store, "cat", body_of(size))

    assert await get(store, "cat", stored.locator, start) == b""
    assert await part(store, "cat", 0, 0) == b""


async def test_a_read_is_asked_for_again(stub: Stub, store: GCSStore) -> None:
    await put(store, "cat", b"meow")
    stub.upsets = [Upset("^GET", status=503), Upset("^GET", lost=True)]

    assert await get(store, "cat") == b"meow"


async def test_a_composed_object_of_others_has_an_etag(stub: Stub, store: GCSStore) -> None:
    bucket = stub.buckets[BUCKET]
    bucket.store("a", b"me", {})
    bucket.store("b", b"ow", {})
    bucket.compose("cat", [{"name": "a"}, {"name": "b"}], {"metadata": {"Some Name": "x"}}, {})

    found = await store.head(BUCKET, "cat")

    assert not found.ours
    assert found.facts.etag
    assert found.facts.etag == (await store.head(BUCKET, "cat")).facts.etag
    assert await get(store, "cat", found.locator) == b"meow"


async def test_metadata_of_others_that_looks_like_ours(stub: Stub, store: GCSStore) -> None:
    for text in ("nonsense", "{}", '{"version":7}', ""):
        told = {"metadata": {"ccs": text, "ccs-headers": "[", "x": "y"}}
        stub.buckets[BUCKET].store("cat", b"meow", told)

        found = await store.head(BUCKET, "cat")

        assert not found.ours
        assert await get(store, "cat", found.locator) == b"meow"


async def test_a_service_that_never_answers_is_unavailable(stub: Stub, store: GCSStore) -> None:
    await put(store, "cat", b"meow")
    stub.upsets = [Upset("", lost=True, times=100)]

    with pytest.raises(Unavailable):
        await get(store, "cat")
    with pytest.raises(Unavailable):
        await store.ping()
