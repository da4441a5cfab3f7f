"""Several storages as one: where buckets go, and what happens between them."""

from dataclasses import dataclass

import pytest

from backends.errors import BucketNotFound, NotFound
from backends.model import Bucket, Facts, Version
from backends.storage.layers.placed import Placed
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
    store: Placed


@pytest.fixture
async def house() -> House:
    near, far = MemoryStore(), MemoryStore()
    known: dict[str, str] = {}

    async def locate(bucket: str) -> str:
        if bucket not in known:
            raise BucketNotFound(bucket)
        return known[bucket]

    return House(near, far, known, Placed({DEFAULT: near, "far": far}, locate))


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
