"""What is missing here is read from other sites, as each bucket says, and kept or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from backends.errors import Corrupt, NotFound, Unavailable
from backends.model import Bucket
from backends.storage.protocol import Source, Stored
from replication.documents import OWN, SHARED, Documents
from replication.messages import Found
from replication.remote import RemoteReader
from replication.topology import BUCKETS, BucketFacts
from s3proxy.gateway.bucket_replicas import BucketReplicas
from s3proxy.gateway.objects import Span
from s3proxy.gateway.placement import Placement
from s3proxy.gateway.remote_reads import OFF, READ, RESTORE, RemoteReads
from s3proxy.gateway.restores import Restores
from s3proxy.gateway.restoring import RestoringObjects
from tests.gateway.conftest import House
from tests.gateway.other_sites import Having, OtherSites, having
from tests.gateway.replicated import LARGE, body, facts_of, settled, tombstone, west

V = west(10)
FACTS = facts_of(LARGE, V)


class Reader:
    """A site that looks at others."""

    def __init__(self, house: House, sites: dict[str, Having], default: str = RESTORE) -> None:
        self.house = house
        link = OtherSites(sites)
        self.remote = RemoteReader(link, link.topology, probe=1.0, negative=60.0)
        self.shared = Documents(house.state, SHARED)
        self.reads = RemoteReads(self.shared, default)
        self.restores = Restores(house.replicas)
        self.objects = RestoringObjects(
            house.objects, house.state, self.remote, self.restores, self.reads
        )
        self.buckets = BucketReplicas(
            house.state, house.store, self.shared, Placement(), self.remote
        )

    async def read(self, span: Span | None = None) -> bytes:
        reading = await self.objects.read("photos", "cat", lambda _: span)
        return b"".join([block async for block in reading.body])

    async def is_kept(self) -> bool:
        await self.restores.wait("photos", "cat", 10)
        try:
            return await self.house.read("photos", "cat") == LARGE
        except NotFound:
            return False


@asynccontextmanager
async def reading(house: House, default: str = RESTORE, **sites: Having) -> AsyncIterator[Reader]:
    """A site that looks at these, with room for transfers."""
    for system in (SHARED, OWN):
        await house.state.create_bucket(Bucket(system, ".ccs", 0))
    reader = Reader(house, sites, default)
    running = asyncio.create_task(reader.restores.run())
    await asyncio.sleep(0)
    yield reader
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def breaking_off(bucket: str, key: str, source: Source, **_: object) -> Stored:
    """A put that fails behind the first block."""
    await anext(aiter(source))
    raise Unavailable("the storage broke off")


async def test_what_is_read_is_kept_in_one_transfer(site: House) -> None:
    east = having(LARGE, FACTS)
    async with reading(site, east=east) as reader:
        assert await reader.read() == LARGE
        assert await reader.is_kept()
        assert await reader.read() == LARGE

        assert east.read == 1
        assert (await site.objects.find("photos", "cat")).facts == FACTS
        await settled(site)


async def test_without_room_for_transfers_it_is_read_and_not_kept(site: House) -> None:
    async with reading(site, east=having(LARGE, FACTS)) as reader:
        pass

    assert await reader.read() == LARGE
    assert not await reader.is_kept()


@pytest.mark.parametrize("again", [False, True])
async def test_a_caller_is_served_whatever_becomes_of_our_storage(
    site: House, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    if again:
        await site.replicas.put("photos", "cat", body(LARGE), FACTS)
        for segment in site.segments():
            segment.unlink()

    monkeypatch.setattr(site.store, "put", breaking_off)
    async with reading(site, east=having(LARGE, FACTS)) as reader:
        assert await reader.read() == LARGE


async def test_wrong_bytes_are_withheld_also_where_our_storage_broke_off(
    site: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.store, "put", breaking_off)
    wrong = having(LARGE[:-1] + b"?", FACTS)
    async with reading(site, east=wrong) as reader:
        with pytest.raises(Corrupt):
            await reader.read()


async def test_wrong_bytes_are_fetched_from_the_next_site(site: House) -> None:
    wrong = having(b"?" + LARGE[1:], FACTS)
    async with reading(site, east=wrong, north=having(LARGE, FACTS)) as reader:
        with pytest.raises(Corrupt):
            await reader.read()

        assert await reader.is_kept()
        await settled(site)


async def test_each_bucket_may_say_how_it_is_read(house: House) -> None:
    async with reading(house, OFF, east=having(LARGE, FACTS)) as reader:
        await reader.buckets.made(await house.state.bucket("photos"))
        with pytest.raises(NotFound):
            await reader.read()

        await reader.reads.choose("photos", READ)
        assert await reader.read() == LARGE
        assert not await reader.is_kept()
        await reader.reads.choose("photos", RESTORE)
        assert await reader.read(Span(5, 10)) == LARGE[5:15]
        assert await reader.is_kept()

        await reader.reads.choose("photos", "")
        assert await reader.reads.of("photos") == OFF
        with pytest.raises(NotFound):
            await reader.reads.choose("nowhere", OFF)
        with pytest.raises(ValueError, match="off, read, restore"):
            await reader.reads.choose("photos", "on")


async def test_what_a_bucket_says_outlives_what_is_told_of_it(house: House) -> None:
    async with reading(house) as reader:
        bucket = await house.state.bucket("photos")
        await reader.buckets.made(bucket)
        await reader.reads.choose("photos", OFF)

        await reader.buckets.made(bucket)

        told = await reader.shared.read(BUCKETS + "photos", BucketFacts)
        assert told == BucketFacts(bucket.owner, bucket.created, bucket.region, remote_read=OFF)


async def test_a_miss_is_remembered_where_all_sites_have_answered(house: House) -> None:
    silent = Having(fails=Unavailable("away"))
    empty = Having()
    async with reading(house, east=empty, north=silent) as reader:
        for _ in range(2):
            with pytest.raises(NotFound):
                await reader.read()
        assert (empty.asked, silent.asked) == (2, 2)

        silent.fails = None
        for _ in range(2):
            with pytest.raises(NotFound):
                await reader.read()
        assert (empty.asked, silent.asked) == (3, 3)


async def test_what_is_older_elsewhere_is_no_help(site: House) -> None:
    await site.replicas.put("photos", "cat", body(LARGE), replace(FACTS, version=west(20)))
    for segment in site.segments():
        segment.unlink()

    async with reading(site, east=having(LARGE, FACTS)) as reader:
        with pytest.raises(Corrupt):
            await reader.read()


async def test_a_newer_tombstone_elsewhere_hides_the_object(site: House) -> None:
    gone = Having(found=Found(tombstone(west(20)).facts, deleted=True))
    async with reading(site, east=having(LARGE, FACTS), north=gone) as reader:
        with pytest.raises(NotFound):
            await reader.read()


async def test_a_site_that_sends_too_much_is_passed_over(site: House) -> None:
    more = having(LARGE + b"and more", FACTS)
    more.unasked = 8
    async with reading(site, east=more, north=having(LARGE, FACTS)) as reader:
        assert await reader.read() == LARGE
        assert await reader.is_kept()
