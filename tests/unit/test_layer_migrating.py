"""A bucket in two storages: what each question finds, and what each change leaves."""

from collections.abc import AsyncIterator

import pytest

from backends.errors import BucketNotFound, NotEmpty, NotFound, PreconditionFailed
from backends.model import Bucket, Facts, Version
from backends.storage.addresses import Address, Place, parsed, written
from backends.storage.layers.migrating import Migrating
from backends.storage.memory import MemoryStore
from backends.storage.protocol import Stored, StoredPart
from backends.storage.source import BytesSource

PHOTOS = Bucket("photos", "ann", 1)


class Between:
    """The storages `old` and `new`, and the bucket on its way between them."""

    def __init__(self, *, keeps_replaced: bool) -> None:
        self.old, self.new = (MemoryStore(keeps_replaced=keeps_replaced) for _ in range(2))
        stores = {"old": self.old, "new": self.new}
        self.before = Migrating(stores, Place("old", "old"))
        self.store = Migrating(stores, Place("old", "new", ("old", "new")))
        self.back = Migrating(stores, Place("old", "old", ("old", "new")))


@pytest.fixture(params=[True, False], ids=["keeps replaced", "overwrites"])
async def between(request: pytest.FixtureRequest) -> AsyncIterator[Between]:
    made = Between(keeps_replaced=request.param)
    for store in (made.old, made.new):
        await store.create_bucket(PHOTOS)
    yield made
    await made.store.close()


def facts(stamp: int) -> Facts:
    return Facts(Version(stamp, "here"), 4)


async def put(store: Migrating, key: str, stamp: int, data: bytes = b"meow") -> Stored:
    return await store.put("photos", key, BytesSource(data, facts(stamp)))


async def get(store: Migrating, key: str, locator: str = "") -> bytes:
    body = await store.get("photos", key, locator)
    return b"".join([block async for block in body])


@pytest.mark.parametrize("name", ["etag", "", "with>marks>"])
@pytest.mark.parametrize("storage", ["", "old", "new"])
def test_an_address_is_read_as_it_was_written(storage: str, name: str) -> None:
    address = Address(storage, name)

    assert parsed(written(address, "old"), "old") == address
    assert written(Address("old", name), "old") == name


async def test_bytes_are_read_where_their_locator_says(between: Between) -> None:
    first = await put(between.before, "cat", 1, b"old")
    second = await put(between.store, "cat", 2, b"new")

    for store in (between.before, between.store, between.back):
        assert await get(store, "cat", first.locator) == b"old"
        assert await get(store, "cat", second.locator) == b"new"
    assert await get(between.store, "cat") == await get(between.back, "cat") == b"new"


async def test_the_newest_is_found_wherever_it_lies(between: Between) -> None:
    old = await put(between.before, "cat", 1)
    new = await put(between.store, "cat", 2)
    late = await put(between.back, "cat", 3, b"late")

    assert await between.store.head("photos", "cat") == late
    assert await between.store.head("photos", "cat", Version(2, "here")) == new
    fetched, body = await between.store.fetch("photos", "cat")
    assert (fetched, b"".join([block async for block in body])) == (late, b"late")
    with pytest.raises(NotFound):
        await between.store.head("photos", "cat", Version(4, "here"))
    assert parsed(old.locator, "old") == Address("old", old.locator)


async def test_a_listing_has_each_key_once_in_order(between: Between) -> None:
    for key in ("a", "c", "\U0001f600"):
        await put(between.before, key, 1)
    for key in ("b", "c", "\uffff"):
        await put(between.store, key, 2)

    found = [stored async for stored in between.store.listing("photos")]

    assert [stored.key for stored in found] == ["a", "b", "c", "\uffff", "\U0001f600"]
    assert [stored.facts.version.stamp for stored in found] == [1, 2, 2, 2, 1]
    some = [one.key async for one in between.store.listing("photos", after="a", most=2)]
    assert some == ["b", "c"]


async def test_a_delete_without_a_locator_leaves_nothing_anywhere(between: Between) -> None:
    for number, key in enumerate(("cat", "dog", "cow"), 1):
        await put(between.before, key, number)
        await put(between.store, key, number + 10)

    await between.store.delete("photos", "cat")
    await between.store.delete_many("photos", ["dog", "cow"])

    for store in (between.old, between.new):
        assert [one.key async for one in store.listing("photos")] == []


async def test_with_bytes_go_the_copies_of_them_and_no_others(between: Between) -> None:
    await put(between.before, "copied", 1)
    copied = await put(between.store, "copied", 1)
    other = await put(between.before, "changed", 1)
    changed = await put(between.store, "changed", 2)

    await between.store.delete("photos", "copied", copied.locator)
    await between.store.delete("photos", "changed", changed.locator)

    assert [one.key async for one in between.store.listing("photos")] == ["changed"]
    assert await get(between.store, "changed", other.locator) == b"meow"


async def test_what_a_write_replaces_may_lie_in_the_other_storage(between: Between) -> None:
    first = await put(between.before, "cat", 1)

    async def replaced(replacing: str, stamp: int) -> Stored:
        source = BytesSource(b"meow", facts(stamp))
        return await between.store.put("photos", "cat", source, replacing=replacing)

    for wrong in ("", "another", ">new>1"):
        with pytest.raises(PreconditionFailed):
            await replaced(wrong, 2)
    second = await replaced(first.locator, 3)
    third = await replaced(second.locator, 4)

    assert await between.store.head("photos", "cat") == third
    assert parsed(third.locator, "old").storage == "new"


async def test_an_upload_ends_where_it_began(between: Between) -> None:
    early = await between.before.create_upload("photos", "cat", facts(1))
    late = await between.store.create_upload("photos", "dog", facts(1))
    stored = []
    for key, upload in (("cat", early), ("dog", late)):
        source = BytesSource(b"meow", facts(1))
        token = await between.store.put_part("photos", key, upload, 1, source)
        parts = [StoredPart(1, token, 4)]
        stored.append(await between.store.complete_upload("photos", key, upload, parts, facts(1)))
        await between.store.abort_upload("photos", key, upload)

    assert [parsed(one.locator, "old").storage for one in stored] == ["old", "new"]
    assert await get(between.store, "cat", stored[0].locator) == b"meow"


async def test_a_copy_goes_to_the_active_storage(between: Between) -> None:
    old = await put(between.before, "cat", 1)
    new = await put(between.store, "dog", 1, b"woof")

    for key, source in (("cat", old), ("dog", new)):
        await between.store.copy("photos", key, source.locator, "photos", f"{key}2", facts(2))

    assert [one.key async for one in between.new.listing("photos")] == ["cat2", "dog", "dog2"]
    assert (await get(between.store, "cat2"), await get(between.store, "dog2")) == (
        b"meow",
        b"woof",
    )


async def test_a_bucket_goes_from_both_when_it_is_empty(between: Between) -> None:
    await put(between.before, "cat", 1)
    with pytest.raises(NotEmpty):
        await between.store.delete_bucket("photos")
    await between.store.delete("photos", "cat")

    await between.store.delete_bucket("photos")

    for store in (between.old, between.new, between.store):
        with pytest.raises(BucketNotFound):
            await store.find_bucket("photos")


async def test_an_old_storage_without_the_bucket_is_no_hindrance(between: Between) -> None:
    await between.old.delete_bucket("photos")
    stored = await put(between.store, "cat", 1)

    assert await between.store.head("photos", "cat") == stored
    assert [one.key async for one in between.store.listing("photos")] == ["cat"]
    await between.store.delete("photos", "cat")
    assert [one.name async for one in between.store.buckets()] == ["photos"]
