"""Several storages as one: where buckets go, and what happens between them."""

from dataclasses import dataclass

import pytest

from backends.errors import BucketNotFound, NotFound, Unavailable
from backends.model import Bucket, Facts, Version
from backends.storage.addresses import Place
from backends.storage.layers.placed import Locate, Placed
from backends.storage.memory import MemoryStore
from backends.storage.protocol import ObjectStore
from backends.storage.source import BytesSource
from s3proxy.gateway.placement import DEFAULT, Placement, Rule

FACTS = Facts(Version(1, "here"), 4)


@dataclass
class House:
    """Two storages, and what the state knows of the places of buckets."""

    near: MemoryStore
    far: MemoryStore
    known: dict[str, str]
    locate: Locate
    store: Placed


@pytest.fixture
async def house() -> House:
    near, far = MemoryStore(), MemoryStore()
    known: dict[str, str] = {}

    async def locate(bucket: str) -> Place:
        if bucket not in known:
            raise BucketNotFound(bucket)
        return Place(known[bucket], known[bucket])

    return House(near, far, known, locate, Placed({DEFAULT: near, "far": far}, locate))


async def names(store: ObjectStore) -> list[str]:
    return [bucket.name async for bucket in store.buckets()]


async def test_a_bucket_is_made_where_it_is_told(house: House) -> None:
    await house.store.create_bucket(Bucket("here", "ann", 1))
    await house.store.create_bucket(Bucket("there", "ann", 1, storage="far"))

    assert await names(house.near) == ["here"]
    assert await names(house.far) == ["there"]
    assert await names(house.store) == ["here", "there"]


async def test_a_bucket_that_one_of_them_has_is_not_made_again_elsewhere(house: House) -> None:
    await house.far.create_bucket(Bucket("photos", "ann", 1))

    await house.store.create_bucket(Bucket("photos", "ann", 1))

    assert await names(house.near) == []
    await house.store.put("photos", "cat", BytesSource(b"meow", FACTS))
    assert (await house.far.head("photos", "cat")).size == 4


async def test_a_bucket_that_the_state_will_remember_is_made_where_it_says(house: House) -> None:
    await house.far.create_bucket(Bucket("photos", "ann", 1))
    stores = {DEFAULT: house.near, "far": house.far}
    store = Placed(stores, house.locate, remembered=True)

    await store.create_bucket(Bucket("photos", "ann", 2))

    assert await names(house.near) == ["photos"]


async def test_what_the_state_knows_is_not_looked_for(house: House) -> None:
    await house.near.create_bucket(Bucket("photos", "ann", 1))
    await house.far.create_bucket(Bucket("photos", "ann", 1))
    house.known["photos"] = "far"

    await house.store.put("photos", "cat", BytesSource(b"meow", FACTS))

    assert (await house.far.head("photos", "cat")).size == 4
    with pytest.raises(NotFound):
        await house.near.head("photos", "cat")


async def test_a_copy_goes_from_one_storage_to_another(house: House) -> None:
    await house.store.create_bucket(Bucket("here", "ann", 1))
    await house.store.create_bucket(Bucket("there", "ann", 1, storage="far"))
    stored = await house.store.put("here", "cat", BytesSource(b"meow", FACTS))

    copy = await house.store.copy("here", "cat", stored.locator, "there", "dog", FACTS)

    body = await house.far.get("there", "dog", copy.locator)
    assert b"".join([block async for block in body]) == b"meow"


async def test_a_deleted_bucket_may_be_made_in_another_storage(house: House) -> None:
    await house.store.create_bucket(Bucket("photos", "ann", 1, storage="far"))
    await house.store.delete_bucket("photos")

    await house.store.create_bucket(Bucket("photos", "ann", 1))

    assert (await names(house.near), await names(house.far)) == (["photos"], [])


async def test_in_a_bucket_that_is_gone_there_is_nothing_to_delete(house: House) -> None:
    await house.store.delete("gone", "cat")
    await house.store.abort_upload("gone", "cat", "upload")


async def test_buckets_whose_storage_was_left_behind_are_read_where_they_went() -> None:
    near, far = MemoryStore(), MemoryStore()
    place = Place("far", DEFAULT, ("far", DEFAULT))

    async def locate(_: str) -> Place:
        return place

    before = Placed({DEFAULT: near, "far": far}, locate)
    await before.create_bucket(Bucket("photos", "ann", 1))
    moved = await before.put("photos", "cat", BytesSource(b"meow", FACTS))
    alone = Placed({DEFAULT: near}, locate)
    added = await alone.put("photos", "dog", BytesSource(b"woof", FACTS))

    for store in (before, alone):
        for key, stored, data in (("cat", moved, b"meow"), ("dog", added, b"woof")):
            body = await store.get("photos", key, stored.locator)
            assert b"".join([block async for block in body]) == data
    assert {moved.locator[:2], added.locator[:2]} == {">>"}


async def test_bytes_in_a_storage_that_the_settings_do_not_name_are_unavailable(
    house: House,
) -> None:
    house.known["photos"] = DEFAULT
    await house.store.create_bucket(Bucket("photos", "ann", 1))

    with pytest.raises(Unavailable, match="the settings name no storage gone"):
        await house.store.get("photos", "cat", ">gone>1")


@pytest.mark.parametrize(("trusted", "storage"), [(0, "far"), (3600, DEFAULT)])
async def test_a_place_is_asked_for_again_when_it_is_trusted_no_longer(
    house: House, trusted: float, storage: str
) -> None:
    stores = {DEFAULT: house.near, "far": house.far}

    async def locate(bucket: str) -> Place:
        return Place(DEFAULT, house.known[bucket])

    store = Placed(stores, locate, trusted_seconds=trusted)
    house.known["photos"] = DEFAULT
    for one in stores.values():
        await one.create_bucket(Bucket("photos", "ann", 1))
    await store.find_bucket("photos")
    house.known["photos"] = "far"

    await store.put("photos", "cat", BytesSource(b"meow", FACTS))

    assert (await stores[storage].head("photos", "cat")).size == 4


async def test_a_bucket_that_was_found_before_the_state_knew_it_moves_like_any_other(
    house: House,
) -> None:
    """So it is with one that was adopted."""
    stores = {DEFAULT: house.near, "far": house.far}
    store = Placed(stores, house.locate, remembered=True, trusted_seconds=0)
    for one in stores.values():
        await one.create_bucket(Bucket("photos", "ann", 1))
    await store.find_bucket("photos")
    house.known["photos"] = "far"

    await store.put("photos", "cat", BytesSource(b"meow", FACTS))

    assert (await house.far.head("photos", "cat")).size == 4


@pytest.mark.parametrize(
    ("bucket", "location", "storage"),
    [
        ("photos", "", DEFAULT),
        ("photos", "eu-west-1", DEFAULT),
        ("archive-2026", "", "cold"),
        ("archive-2026", "elsewhere", "cold"),
        ("photos", "glacier", "cold"),
        ("archive-2026", "warm", "warm"),
        ("my-archive-2026", "", DEFAULT),
    ],
)
def test_the_location_goes_before_the_name_and_both_before_the_default(
    bucket: str, location: str, storage: str
) -> None:
    placement = Placement([Rule("cold", ("archive-*",), "glacier"), Rule("warm", (), "warm")])

    assert placement.choose(bucket, location) == storage
