"""What every storage promises, whatever it is made of."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.errors import BucketNotFound, InvalidPart, NotEmpty, NotFound
from backends.model import Checksum, ChecksumType, Facts, ObjectPart, Version
from backends.storage.protocol import ObjectStore, Stored, StoredPart
from backends.storage.source import BytesSource
from tests.contracts.object_stores import OBJECT_STORES

MIB = 1024 * 1024
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
FULL = Facts(
    version=Version(7, "here"),
    size=4,
    etag="etag",
    owner="ann",
    headers={"content-type": "text/plain", "cache-control": "no-cache"},
    metadata={"colour": "gr\xfcn"},
    storage_class="GLACIER",
    checksum=Checksum("SHA256", "abc=", ChecksumType.COMPOSITE),
    parts=(ObjectPart(1, 4, "abc="),),
    upload="upload",
)


@pytest.fixture(params=OBJECT_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    opened = OBJECT_STORES[request.param](tmp_path / "store")
    await opened.create_bucket("photos")
    yield opened
    await opened.close()


FIRST = Facts(version=Version(1, "here"))


def facts(stamp: int = 1) -> Facts:
    return Facts(version=Version(stamp, "here"))


def files(folder: Path) -> list[Path]:
    """All files and folders below, in order."""
    return sorted(folder.rglob("*"))


async def put(store: ObjectStore, data: bytes, key: str = "cat", stamp: int = 1) -> Stored:
    return await store.put("photos", key, BytesSource(data, facts(stamp)))


async def get(
    store: ObjectStore,
    key: str = "cat",
    locator: str = "",
    start: int = 0,
    length: int | None = None,
) -> bytes:
    body = await store.get("photos", key, locator, start=start, length=length)
    return b"".join([block async for block in body])


async def keys(store: ObjectStore, prefix: str = "", after: str = "") -> list[str]:
    return [stored.key async for stored in store.listing("photos", prefix=prefix, after=after)]


@dataclass
class Blocks:
    """A source in blocks of any size, that may fail or stall at its end."""

    data: bytes
    step: int
    error: Exception | None = None
    stalls: asyncio.Event | None = None
    size: int | None = None
    facts: Facts = FIRST

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), self.step):
            yield self.data[at : at + self.step]
        if self.stalls:
            self.stalls.set()
            await asyncio.Event().wait()
        if self.error:
            raise self.error


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, MIB, 5 * MIB + 1])
@pytest.mark.parametrize("step", [4096, 65_537, 6 * MIB])
async def test_bytes_come_back_as_they_went(store: ObjectStore, size: int, step: int) -> None:
    data = os.urandom(size)

    stored = await store.put("photos", "cat", Blocks(data, step))

    assert (stored.key, stored.size) == ("cat", size)
    assert await get(store) == data
    assert await get(store, locator=stored.locator) == data


@pytest.mark.parametrize("size", [4, 100_000])
async def test_facts_travel_with_the_bytes(store: ObjectStore, size: int) -> None:
    stored = await store.put("photos", "cat", BytesSource(bytes(size), FULL))

    assert stored.facts == FULL
    assert await store.head("photos", "cat") == stored
    assert [found async for found in store.listing("photos")] == [stored]


@pytest.mark.parametrize("size", [10, 3 * MIB])
@pytest.mark.parametrize(
    ("start", "length"), [(0, 0), (0, 1), (3, 4), (9, 1), (5, None), (5, 10**9), (0, None)]
)
async def test_a_piece_of_an_object(
    store: ObjectStore, size: int, start: int, length: int | None
) -> None:
    data = os.urandom(size)
    await put(store, data)

    expected = data[start:] if length is None else data[start : start + length]
    assert await get(store, start=start, length=length) == expected


async def test_a_locator_names_exactly_these_bytes(store: ObjectStore) -> None:
    old = await put(store, b"old", stamp=1)
    new = await put(store, b"new", stamp=2)

    assert await get(store) == b"new"
    assert await get(store, locator=new.locator) == b"new"
    if store.capabilities.keeps_replaced:
        assert await get(store, locator=old.locator) == b"old"
    await store.delete("photos", "cat", old.locator)
    with pytest.raises(NotFound):
        await get(store, locator=old.locator)
    assert await get(store) == b"new"


async def test_deleting_by_a_stale_locator_harms_nothing(store: ObjectStore) -> None:
    old = await put(store, b"old")
    await store.delete("photos", "cat", old.locator)
    await put(store, b"new")

    await store.delete("photos", "cat", old.locator)

    assert await get(store) == b"new"


async def test_a_locator_is_good_at_its_own_key_only(store: ObjectStore) -> None:
    stored = await put(store, b"meow")

    with pytest.raises(NotFound):
        await get(store, "dog", stored.locator)
    with pytest.raises(NotFound):
        await get(store, locator="no such locator")


async def test_a_version_is_found_by_name(store: ObjectStore) -> None:
    stored = await put(store, b"meow", stamp=5)

    assert await store.head("photos", "cat", Version(5, "here")) == stored
    with pytest.raises(NotFound):
        await store.head("photos", "cat", Version(6, "here"))
    with pytest.raises(NotFound):
        await store.head("photos", "dog")


@pytest.mark.parametrize("size", [10, 100_000])
async def test_deleting_what_is_not_there_is_no_error(store: ObjectStore, size: int) -> None:
    await store.delete("photos", "cat")
    await put(store, bytes(size))

    await store.delete("photos", "cat")
    await store.delete("photos", "cat")

    with pytest.raises(NotFound):
        await get(store)
    assert await keys(store) == []


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=st.lists(KEYS.filter(lambda key: len(key.encode()) <= 1024), unique=True, max_size=8))
async def test_keys_are_opaque(store: ObjectStore, names: list[str]) -> None:
    for name in names:
        await put(store, name.encode(), name)

    assert await keys(store) == sorted(names, key=str.encode)
    for name in names:
        assert await get(store, name) == name.encode()
        await store.delete("photos", name)


@pytest.mark.parametrize(
    "name", ["..", "../x", "x", "x/y", "x/", "//", "/", "a\x00b", "a\nb", "CON", "é" * 512]
)
async def test_odd_keys(store: ObjectStore, name: str) -> None:
    await put(store, b"other", "x")
    await put(store, name.encode(), name, stamp=2)

    assert await get(store, name) == name.encode()
    assert set(await keys(store)) == {"x", name}


async def test_a_listing_starts_where_it_is_told(store: ObjectStore) -> None:
    names = [f"{letter}/{number:04}" for letter in "abc" for number in range(400)]
    for name in names:
        await put(store, b"", name)

    assert await keys(store) == names
    assert await keys(store, prefix="b/") == names[400:800]
    assert await keys(store, prefix="b/", after="b/0398") == names[799:800]
    assert await keys(store, after="zzz") == []


@pytest.mark.parametrize("size", [100, 300_000])
async def test_a_source_that_fails_leaves_nothing(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    await put(store, b"old")
    before = files(tmp_path)

    with pytest.raises(ZeroDivisionError):
        await store.put("photos", "cat", Blocks(bytes(size), 50_000, ZeroDivisionError()))

    assert await get(store) == b"old"
    assert files(tmp_path) == before


@pytest.mark.parametrize("size", [100, 300_000])
async def test_a_put_that_is_cancelled_leaves_nothing(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    stalls = asyncio.Event()
    before = files(tmp_path)
    running = asyncio.create_task(
        store.put("photos", "cat", Blocks(bytes(size), 50_000, stalls=stalls))
    )
    await stalls.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await keys(store) == []
    assert files(tmp_path) == before


async def test_concurrent_puts_of_one_key_all_keep_their_bytes(store: ObjectStore) -> None:
    bodies = [os.urandom(20_000) for _ in range(10)]

    stored = await asyncio.gather(
        *(put(store, body, stamp=stamp) for stamp, body in enumerate(bodies, start=1))
    )

    assert len({one.locator for one in stored}) == 10
    assert await get(store) == bodies[-1]


async def test_reading_goes_on_after_a_delete(store: ObjectStore) -> None:
    data = os.urandom(5 * MIB)
    await put(store, data)
    body = await store.get("photos", "cat")

    first = await anext(body)
    await store.delete("photos", "cat")

    assert first + b"".join([block async for block in body]) == data


async def upload(store: ObjectStore, *bodies: bytes) -> tuple[str, list[StoredPart]]:
    token = await store.create_upload("photos", "cat", facts())
    parts = []
    for number, body in enumerate(bodies, start=1):
        source = BytesSource(body, facts())
        part = await store.put_part("photos", "cat", token, number, source)
        parts.append(StoredPart(number, part, len(body)))
    return token, parts


async def complete(store: ObjectStore, token: str, parts: list[StoredPart]) -> Stored:
    return await store.complete_upload("photos", "cat", token, parts, facts(9))


@pytest.mark.parametrize("sizes", [(1,), (20_000,), (10, 20_000, 0, 30_000, 5), (0,), (0, 0)])
async def test_parts_become_one_object(store: ObjectStore, sizes: tuple[int, ...]) -> None:
    bodies = [os.urandom(size) for size in sizes]
    token, parts = await upload(store, *bodies)

    stored = await complete(store, token, parts)

    whole = b"".join(bodies)
    assert stored.size == len(whole)
    assert await get(store, locator=stored.locator) == whole
    assert stored.facts == facts(9)
    for start in range(0, len(whole), 9_000):
        assert await get(store, start=start, length=15_000) == whole[start : start + 15_000]


async def test_a_part_may_be_sent_again_and_others_left_out(store: ObjectStore) -> None:
    token, parts = await upload(store, b"first", b"second", b"third")
    again = await store.put_part("photos", "cat", token, 1, BytesSource(b"again", facts()))

    await complete(store, token, [StoredPart(1, again, 5), parts[2]])

    assert await get(store) == b"againthird"


async def test_a_part_that_is_not_there_is_refused_and_ends_nothing(store: ObjectStore) -> None:
    token, parts = await upload(store, b"first")

    with pytest.raises(InvalidPart):
        await complete(store, token, [*parts, StoredPart(2, "no such part", 1)])

    await complete(store, token, parts)
    assert await get(store) == b"first"


async def test_a_completed_upload_is_over(store: ObjectStore) -> None:
    token, parts = await upload(store, b"first")
    await complete(store, token, parts)

    with pytest.raises(InvalidPart):
        await complete(store, token, parts)


async def test_an_abort_drops_the_parts_and_may_be_repeated(store: ObjectStore) -> None:
    token, parts = await upload(store, bytes(50_000))

    await store.abort_upload("photos", "cat", token)
    await store.abort_upload("photos", "cat", token)

    with pytest.raises(InvalidPart):
        await complete(store, token, parts)


async def test_ten_thousand_parts(store: ObjectStore) -> None:
    bodies = [b"%05d" % number for number in range(10_000)]
    token = await store.create_upload("photos", "cat", facts())

    async def one(number: int) -> StoredPart:
        source = BytesSource(bodies[number], facts())
        part = await store.put_part("photos", "cat", token, number + 1, source)
        return StoredPart(number + 1, part, 5)

    parts = list(await asyncio.gather(*(one(number) for number in range(10_000))))
    await complete(store, token, parts)

    assert await get(store) == b"".join(bodies)
    assert await get(store, start=25_003, length=10) == b"".join(bodies)[25_003:25_013]


@pytest.mark.parametrize("size", [0, 10, 100_000])
async def test_a_copy_stands_on_its_own(store: ObjectStore, size: int) -> None:
    await store.create_bucket("other")
    data = os.urandom(size)
    source = await put(store, data)

    copy = await store.copy("photos", "cat", source.locator, "other", "dog", facts(3))
    await store.delete("photos", "cat")

    body = await store.get("other", "dog", copy.locator)
    assert b"".join([block async for block in body]) == data
    assert copy.facts == facts(3)
    await store.delete("other", "dog", copy.locator)


async def test_a_copy_of_joined_parts(store: ObjectStore) -> None:
    bodies = [os.urandom(20_000), b"small", os.urandom(30_000)]
    source = await complete(store, *await upload(store, *bodies))

    copy = await store.copy("photos", "cat", source.locator, "photos", "dog", facts(3))
    await store.delete("photos", "cat")

    assert await get(store, "dog", copy.locator) == b"".join(bodies)


async def test_a_copy_of_what_is_gone(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        await store.copy("photos", "cat", "1", "photos", "dog", facts())


async def test_buckets_come_and_go(store: ObjectStore) -> None:
    await store.create_bucket("b")
    await store.create_bucket("a")
    await store.create_bucket("a")
    assert [name async for name in store.buckets()] == ["a", "b", "photos"]

    await store.delete_bucket("b")
    await put(store, b"meow")
    with pytest.raises(NotEmpty):
        await store.delete_bucket("photos")
    with pytest.raises(BucketNotFound):
        await store.delete_bucket("b")
    assert [name async for name in store.buckets()] == ["a", "photos"]


async def test_an_unfinished_upload_goes_with_its_bucket(
    store: ObjectStore, tmp_path: Path
) -> None:
    await upload(store, bytes(50_000))

    await store.delete_bucket("photos")

    assert not [path for path in files(tmp_path) if path.parts[-3:-2] == ("segments",)]


async def test_an_unknown_bucket_is_said_to_be_unknown(store: ObjectStore) -> None:
    source = BytesSource(b"", facts())
    with pytest.raises(BucketNotFound):
        await store.put("none", "cat", source)
    with pytest.raises(BucketNotFound):
        await store.create_upload("none", "cat", facts())
    with pytest.raises(BucketNotFound):
        await store.put_part("none", "cat", "upload", 1, source)
    with pytest.raises(BucketNotFound):
        _ = [stored async for stored in store.listing("none")]
    with pytest.raises(NotFound):
        await store.get("none", "cat")


async def test_it_answers(store: ObjectStore) -> None:
    await store.ping()
    assert await store.sweep() == 0
