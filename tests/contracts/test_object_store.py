"""What every storage promises, whatever it is made of."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.errors import (
    BackendError,
    BucketNotFound,
    InvalidPart,
    NotEmpty,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from backends.model import Bucket, Checksum, ChecksumType, Facts, ObjectPart, Version
from backends.storage.protocol import ObjectStore, Stored, StoredPart
from backends.storage.source import BytesSource
from tests.contracts.object_stores import OBJECT_STORES, Fault, Opened, open_store
from tests.contracts.sources import Blocks

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
    expires=4_000_000_000_000,
)


@pytest.fixture(params=OBJECT_STORES)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    found = open_store(request.param, request, tmp_path / "store")
    await found.store.create_bucket(PHOTOS)
    yield found
    await found.store.close()


@pytest.fixture
def store(opened: Opened) -> ObjectStore:
    return opened.store


PHOTOS = Bucket("photos", "ann", 1_700_000_000_000, "eu-west-1")
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


def grown(store: ObjectStore, data: bytes) -> bytes:
    """The bytes, lengthened to what a part needs that is not the last."""
    return data.ljust(store.capabilities.least_part, b".")


async def keys(store: ObjectStore, prefix: str = "", after: str = "") -> list[str]:
    return [stored.key async for stored in store.listing("photos", prefix=prefix, after=after)]


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
    full = replace(FULL, size=size)
    stored = await store.put("photos", "cat", BytesSource(bytes(size), full))

    assert stored.ours
    assert stored.facts == full
    found = await store.head("photos", "cat")
    assert (found.key, found.size, found.locator) == (stored.key, size, stored.locator)
    assert found.facts == full
    [listed] = [found async for found in store.listing("photos")]
    assert (listed.key, listed.size, listed.locator) == ("cat", size, stored.locator)
    assert not store.capabilities.lists_facts or listed.facts == full


@pytest.mark.parametrize("size", [0, 4, 100_000, 5 * MIB + 1])
@pytest.mark.parametrize("step", [65_537, 6 * MIB])
async def test_what_is_fetched_is_what_head_tells_and_get_hands_out(
    store: ObjectStore, size: int, step: int
) -> None:
    data = os.urandom(size)
    full = replace(FULL, size=size)
    await store.put("photos", "cat", Blocks(data, step, size=size, facts=full))

    stored, body = await store.fetch("photos", "cat")

    assert b"".join([block async for block in body]) == data
    told = await store.head("photos", "cat")
    assert (stored.size, stored.locator, stored.facts) == (told.size, told.locator, told.facts)
    assert stored.facts == full


async def test_nothing_is_fetched_where_nothing_is(store: ObjectStore) -> None:
    await put(store, b"meow")
    await store.delete("photos", "cat")

    for bucket, key in (("photos", "cat"), ("photos", "dog"), ("no-such-bucket", "cat")):
        with pytest.raises(NotFound):
            await store.fetch(bucket, key)


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
    await put(store, b"new", stamp=2)

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

    found = await store.head("photos", "cat", Version(5, "here"))
    assert (found.locator, found.facts.version) == (stored.locator, Version(5, "here"))
    with pytest.raises(NotFound):
        await store.head("photos", "cat", Version(6, "here"))
    with pytest.raises(NotFound):
        await store.head("photos", "dog")


async def test_of_a_version_that_was_stored_again_the_later_bytes_are_found(
    store: ObjectStore,
) -> None:
    await put(store, b"earlier", stamp=5)
    later = await put(store, b"the later", stamp=5)

    found = await store.head("photos", "cat", Version(5, "here"))

    assert (found.size, found.locator) == (9, later.locator)


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
async def test_keys_are_opaque(opened: Opened, names: list[str]) -> None:
    store = opened.store
    names = [name for name in names if opened.can_name(name)]
    for name in names:
        await put(store, name.encode(), name)

    listed = await keys(store)
    for name in names:
        assert await get(store, name) == name.encode()
        await store.delete("photos", name)
    if Fault.ESCAPED_ORDER in opened.faults:
        listed.sort()
    assert listed == sorted(names, key=str.encode)


@pytest.mark.parametrize(
    "name", ["..", "../x", "x", "x/y", "x/", "//", "/", "a\x00b", "a\nb", "CON", "é" * 512]
)
async def test_odd_keys(opened: Opened, name: str) -> None:
    store = opened.store
    if not opened.can_name(name):
        name = f"k{name.encode().hex()[:200]}"
    await put(store, b"other", "x")
    await put(store, name.encode(), name, stamp=2)

    assert await get(store, name) == name.encode()
    assert set(await keys(store)) == {"x", name}


async def test_a_listing_starts_where_it_is_told(store: ObjectStore) -> None:
    names = [f"{letter}/{number:04}" for letter in "abc" for number in range(400)]
    for at in range(0, len(names), 40):
        await asyncio.gather(*(put(store, b"", name) for name in names[at : at + 40]))

    assert await keys(store) == names
    assert await keys(store, prefix="b/") == names[400:800]
    assert await keys(store, prefix="b/", after="b/0398") == names[799:800]
    assert await keys(store, after="zzz") == []
    some = [stored.key async for stored in store.listing("photos", after="b/0398", most=3)]
    assert some == names[799:802]


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
    if store.capabilities.keeps_replaced:
        assert await get(store) == bodies[-1]
    else:
        assert await get(store) in bodies


async def test_reading_goes_on_after_a_delete(store: ObjectStore) -> None:
    data = os.urandom(5 * MIB)
    await put(store, data)
    body = await store.get("photos", "cat")

    got = await anext(body)
    await store.delete("photos", "cat")

    try:
        async for block in body:
            got += block
    except BackendError:
        assert not store.capabilities.keeps_replaced
        assert data.startswith(got)
    else:
        assert got == data


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
    bodies = [grown(store, os.urandom(size)) for size in sizes]
    token, parts = await upload(store, *bodies)

    stored = await complete(store, token, parts)

    whole = b"".join(bodies)
    assert stored.size == len(whole)
    assert await get(store, locator=stored.locator) == whole
    assert stored.facts == facts(9)
    for start in range(0, len(whole), max(9_000, len(whole) // 7)):
        assert await get(store, start=start, length=15_000) == whole[start : start + 15_000]


async def test_facts_that_are_known_when_an_upload_begins_are_those_of_its_object(
    store: ObjectStore,
) -> None:
    bodies = [grown(store, b"first"), b"second"]
    full = replace(FULL, size=sum(map(len, bodies)), etag="an etag of parts-2")
    token = await store.create_upload("photos", "cat", full)
    parts = []
    for number, body in enumerate(bodies, start=1):
        source = BytesSource(body, facts())
        part = await store.put_part("photos", "cat", token, number, source)
        parts.append(StoredPart(number, part, len(body)))

    stored = await store.complete_upload("photos", "cat", token, parts, full)

    assert stored.facts == full
    found = await store.head("photos", "cat", full.version)
    assert (found.locator, found.facts) == (stored.locator, full)


async def test_a_part_may_be_sent_again_and_others_left_out(store: ObjectStore) -> None:
    first, again = grown(store, b"first"), grown(store, b"again")
    token, parts = await upload(store, first, grown(store, b"second"), b"third")
    part = await store.put_part("photos", "cat", token, 1, BytesSource(again, facts()))

    await complete(store, token, [StoredPart(1, part, len(again)), parts[2]])

    assert await get(store) == again + b"third"


async def test_a_part_that_is_not_there_is_refused_and_ends_nothing(store: ObjectStore) -> None:
    first = grown(store, b"first")
    token, parts = await upload(store, first)

    with pytest.raises(InvalidPart):
        await complete(store, token, [*parts, StoredPart(2, "no such part", 1)])

    await complete(store, token, parts)
    assert await get(store) == first


async def test_a_completed_upload_is_over(store: ObjectStore) -> None:
    token, parts = await upload(store, b"first")
    done = await complete(store, token, parts)

    with suppress(InvalidPart):
        assert await complete(store, token, parts) == done
    assert await get(store) == b"first"


async def test_an_abort_drops_the_parts_and_may_be_repeated(opened: Opened) -> None:
    store = opened.store
    refused = Unavailable if Fault.ABORTED_UPLOADS in opened.faults else InvalidPart
    token, parts = await upload(store, bytes(50_000))

    await store.abort_upload("photos", "cat", token)
    await store.abort_upload("photos", "cat", token)

    with pytest.raises(refused):
        await complete(store, token, parts)


def part_count(store: ObjectStore) -> int:
    """As many as S3 allows, or fewer where each costs a request, or megabytes."""
    if store.capabilities.keeps_replaced:
        return 10_000
    return 70 if store.capabilities.least_part == 1 else 4


async def test_many_parts(store: ObjectStore) -> None:
    count = part_count(store)
    bodies = [grown(store, b"%05d" % number) for number in range(count)]
    token = await store.create_upload("photos", "cat", facts())

    async def one(number: int) -> StoredPart:
        source = BytesSource(bodies[number], facts())
        part = await store.put_part("photos", "cat", token, number + 1, source)
        return StoredPart(number + 1, part, len(bodies[number]))

    parts = list(await asyncio.gather(*(one(number) for number in range(count))))
    await complete(store, token, parts)

    whole = b"".join(bodies)
    middle = len(whole) // 2 - 7
    assert await get(store) == whole
    assert await get(store, start=middle, length=10) == whole[middle : middle + 10]


@pytest.mark.parametrize("size", [0, 10, 100_000])
async def test_a_copy_stands_on_its_own(store: ObjectStore, size: int) -> None:
    await store.create_bucket(Bucket("other", "ann", 1))
    data = os.urandom(size)
    source = await put(store, data)

    copy = await store.copy("photos", "cat", source.locator, "other", "dog", facts(3))
    await store.delete("photos", "cat")

    body = await store.get("other", "dog", copy.locator)
    assert b"".join([block async for block in body]) == data
    assert copy.facts == facts(3)
    await store.delete("other", "dog", copy.locator)


async def test_a_copy_of_joined_parts(store: ObjectStore) -> None:
    bodies = [grown(store, os.urandom(20_000)), grown(store, b"small"), os.urandom(30_000)]
    source = await complete(store, *await upload(store, *bodies))

    copy = await store.copy("photos", "cat", source.locator, "photos", "dog", facts(3))
    await store.delete("photos", "cat")

    assert await get(store, "dog", copy.locator) == b"".join(bodies)


async def test_a_copy_of_what_is_gone(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        await store.copy("photos", "cat", "1", "photos", "dog", facts())


async def test_buckets_come_and_go(store: ObjectStore) -> None:
    await store.create_bucket(Bucket("b", "ann", 1))
    await store.create_bucket(Bucket("a", "ann", 1))
    await store.create_bucket(Bucket("a", "eve", 2))
    assert [bucket.name async for bucket in store.buckets()] == ["a", "b", "photos"]

    await store.delete_bucket("b")
    await put(store, b"meow")
    with pytest.raises(NotEmpty):
        await store.delete_bucket("photos")
    with pytest.raises(BucketNotFound):
        await store.delete_bucket("b")
    assert [bucket.name async for bucket in store.buckets()] == ["a", "photos"]


async def test_a_bucket_keeps_its_owner_and_region(store: ObjectStore) -> None:
    await store.create_bucket(Bucket("photos", "eve", 5))

    found = await store.find_bucket("photos")

    assert (found.name, found.owner, found.region) == ("photos", "ann", "eu-west-1")
    with pytest.raises(BucketNotFound):
        await store.find_bucket("none")


async def test_many_deletes_at_once(store: ObjectStore) -> None:
    names = [f"key-{number}" for number in range(5)]
    for name in names:
        await put(store, b"", name)

    await store.delete_many("photos", [*names[1:], "no such key"])

    assert await keys(store) == names[:1]


async def write(store: ObjectStore, verb: str, replacing: str | None) -> Stored:
    """Write `new` at the key `cat` in one of three ways."""
    if verb == "put":
        source = BytesSource(b"new", facts(5))
        return await store.put("photos", "cat", source, replacing=replacing)
    if verb == "copy":
        other = await put(store, b"new", "other")
        return await store.copy(
            "photos", "other", other.locator, "photos", "cat", facts(5), replacing=replacing
        )
    token, parts = await upload(store, b"new")
    return await store.complete_upload("photos", "cat", token, parts, facts(5), replacing=replacing)


@pytest.mark.parametrize("verb", ["put", "copy", "complete"])
async def test_a_write_may_require_what_it_replaces(opened: Opened, verb: str) -> None:
    store = opened.store
    if Fault.CONDITIONAL_COMPLETION in opened.faults and verb == "complete":
        verb = "put"
    old = await write(store, verb, "")
    assert await get(store) == b"new"
    with pytest.raises(PreconditionFailed):
        await write(store, verb, "")
    other = await put(store, b"other", stamp=7)
    with pytest.raises(PreconditionFailed):
        await write(store, verb, old.locator)
    assert await get(store) == b"other"

    await write(store, verb, other.locator)

    if not store.capabilities.keeps_replaced:
        assert await get(store) == b"new"


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
