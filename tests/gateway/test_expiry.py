"""Objects that expire: that very version goes, archived first where the bucket says so."""

import asyncio
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from backends.errors import NotFound, Refused, Unavailable
from backends.model import Facts, Row
from reconcile.expiry import Expiry
from replication.documents import SHARED, Documents
from replication.expiry import EXPIRY, BucketExpiry, ExpiryRule, ExpiryRules
from replication.topology import SITES, Site, SiteState
from s3proxy.gateway.endings import Endings
from s3proxy.gateway.writes import Writes
from tests.gateway.conftest import FACTS, LEASE, Body, House

HOUR = 3_600_000
DAY = 24 * HOUR


@dataclass
class Meddling:
    """Endings, before each of which something else happens."""

    endings: Endings
    house: House
    writes: bytes = b""
    crashes: bool = False

    async def end(self, row: Row) -> bool:
        if self.crashes:
            raise Unavailable("the process died between the copy and the delete")
        if self.writes:
            await put(self.house, row.key, self.writes)
        return await self.endings.end(row)

    async def archive(self, row: Row, bucket: str) -> None:
        await self.endings.archive(row, bucket)


def meddling(house: House) -> Meddling:
    writes = Writes(house.state, house.store, house.discards, lease=LEASE)
    return Meddling(Endings(house.state, writes, house.discards, house.objects), house)


def expiry_of(house: House, ends: Meddling | None = None, *, several: bool = False) -> Expiry:
    return Expiry(
        house.state,
        ExpiryRules(house.state),
        ends or meddling(house),
        "here",
        one_of_several=several,
        every=HOUR,
        rows_per_second=1e9,
        now=house.now,
    )


async def put(house: House, key: str, data: bytes = b"meow", *, expires: int = 0) -> Row:
    facts = replace(FACTS, expires=expires)
    return await house.objects.put("photos", key, Body(data), facts, "1")


async def let_expire(house: House, *rules: ExpiryRule) -> None:
    shared = Documents(house.state, SHARED)
    await shared.prepare()
    await shared.put(f"{EXPIRY}photos", BucketExpiry(house.now(), rules))


async def keys(house: House, bucket: str = "photos") -> list[str]:
    return [entry.key for entry in await house.state.page(bucket, prefix="", after="", limit=100)]


async def test_an_object_goes_when_its_own_time_has_come(site: House) -> None:
    await put(site, "cat", expires=site.now() + HOUR)
    await put(site, "dog", expires=site.now() + DAY)
    await put(site, "never")
    expiry = expiry_of(site)
    assert await expiry.run() == 0

    site.ahead = 2 * HOUR
    assert await expiry.run() == 1

    assert await keys(site) == ["dog", "never"]


async def test_its_end_is_told_and_its_bytes_go(house: House) -> None:
    await house.state.subscribe("group")
    row = await put(house, "cat", bytes(200_000), expires=house.now() + HOUR)
    house.ahead = 2 * HOUR

    await expiry_of(house).run()
    await house.discards.settle(older_than=-1)

    told = [event for _, event in await house.state.unread("group", after=0, limit=9)]
    assert [event.name for event in told] == ["ObjectCreated:Put", "LifecycleExpiration:Delete"]
    assert told[1].version == row.version.end
    assert told[1].made > row.facts.modified
    assert await house.stored("photos") == []


async def test_an_end_in_place_is_told_and_its_bytes_are_gone(overwriting: House) -> None:
    house = overwriting
    await house.state.subscribe("group")
    await put(house, "cat", expires=house.now() + HOUR)
    house.ahead = 2 * HOUR

    await expiry_of(house).run()

    told = [event.name for _, event in await house.state.unread("group", after=0, limit=9)]
    assert told == ["ObjectCreated:Put", "LifecycleExpiration:Delete"]
    assert await house.stored("photos") == []
    assert not await house.state.is_changing("photos", "cat")


async def test_a_bucket_rule_ends_what_is_old_also_what_was_there_before(site: House) -> None:
    await put(site, "logs/old")
    await put(site, "photos/old")
    await let_expire(site, ExpiryRule(days=1, prefix="logs/"))
    expiry = expiry_of(site)
    assert await expiry.run() == 0

    site.ahead = 2 * DAY
    await put(site, "logs/new")

    assert await expiry.run() == 1
    assert await keys(site) == ["logs/new", "photos/old"]


async def test_buckets_are_walked_through_once_in_a_while(house: House) -> None:
    await let_expire(house, ExpiryRule(days=1))
    await put(house, "cat")
    house.ahead = DAY - HOUR // 2
    expiry = expiry_of(house)
    await expiry.run()

    house.ahead = DAY + HOUR // 4
    assert await expiry.run() == 0
    house.ahead = DAY + HOUR

    assert await expiry.run() == 1


async def test_a_walk_goes_on_where_it_stopped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconcile.expiry.PAGE", 2)
    await let_expire(house, ExpiryRule(days=1))
    for key in "abcde":
        await put(house, key)
    house.ahead = 2 * DAY
    ends = meddling(house)
    ends.crashes = True
    with pytest.raises(Unavailable):
        await expiry_of(house, ends).run()
    walked = expiry_of(house)
    walking = asyncio.create_task(walked.run())
    while walked.figures.ended < 2:
        await asyncio.sleep(0)
    walking.cancel()
    await asyncio.gather(walking, return_exceptions=True)

    await expiry_of(house).run()

    assert await keys(house) == []


@pytest.mark.parametrize("data", [b"meow", b"another cat"])
async def test_what_is_written_between_look_and_end_is_not_lost(site: House, data: bytes) -> None:
    await put(site, "cat", b"meow", expires=site.now() + HOUR)
    site.ahead = 2 * HOUR
    ends = meddling(site)
    ends.writes = data

    assert await expiry_of(site, ends).run() == 0

    assert await site.read("photos", "cat") == data


async def test_a_writer_under_way_comes_after_the_end(site: House) -> None:
    row = await put(site, "cat", expires=site.now() + HOUR)
    site.ahead = 2 * HOUR

    await asyncio.gather(
        *(put(site, "cat", b"%d" % number) for number in range(5)),
        *(meddling(site).end(row) for _ in range(3)),
    )

    assert await site.read("photos", "cat") in [b"%d" % number for number in range(5)]


async def test_it_is_copied_into_the_archive_first(site: House) -> None:
    await site.buckets.create("archive", "main", "")
    await let_expire(site, ExpiryRule(days=1, archive="archive"))
    await put(site, "cat", b"meow", expires=site.now() + HOUR)
    site.ahead = 2 * HOUR
    expiry = expiry_of(site)

    assert await expiry.run() == 1

    assert await keys(site) == []
    assert await site.read("archive", "cat") == b"meow"
    assert (await site.objects.find("archive", "cat")).facts.expires == 0
    assert expiry.figures.archived == 1


async def test_a_crash_between_copy_and_end_repeats_the_copy(site: House) -> None:
    await site.buckets.create("archive", "main", "")
    await let_expire(site, ExpiryRule(days=1, archive="archive"))
    await put(site, "cat", b"meow")
    site.ahead = 2 * DAY
    ends = meddling(site)
    ends.crashes = True
    with pytest.raises(Unavailable):
        await expiry_of(site, ends).run()
    assert await site.read("photos", "cat") == b"meow"

    assert await expiry_of(site).run() == 1

    assert await site.read("archive", "cat") == b"meow"
    assert await keys(site) == []


async def test_without_its_archive_nothing_goes(site: House) -> None:
    await let_expire(site, ExpiryRule(days=1, archive="archive"))
    await put(site, "cat")
    site.ahead = 2 * DAY
    expiry = expiry_of(site)

    assert await expiry.run() == 0

    assert await keys(site) == ["cat"]
    assert expiry.figures.failed == 1
    assert "archive" in expiry.figures.last_error


async def test_a_crash_in_the_middle_of_an_end_in_place_is_finished_and_told(
    overwriting: House,
) -> None:
    house = overwriting
    await house.state.subscribe("group")
    row = await put(house, "cat")
    await house.state.begin(
        "photos", "cat", lease=LEASE, alone=True, deletes=True, version=row.version.end
    )
    await house.store.delete("photos", "cat")
    house.ahead = LEASE + 1

    await house.recovery.run()

    with pytest.raises(NotFound):
        await house.objects.find("photos", "cat")
    told = [event.name for _, event in await house.state.unread("group", after=0, limit=9)]
    assert told == ["ObjectCreated:Put", "LifecycleExpiration:Delete"]


@pytest.mark.parametrize(
    ("sites", "writer", "went"),
    [
        ({"here": SiteState.ACTIVE, "a": SiteState.ACTIVE}, "there", 0),
        ({"here": SiteState.ACTIVE, "a": SiteState.ACTIVE, "there": SiteState.PAUSED}, "there", 0),
        ({"here": SiteState.ACTIVE, "there": SiteState.REMOVED}, "there", 1),
        ({"here": SiteState.ACTIVE, "b": SiteState.ACTIVE, "there": SiteState.REMOVED}, "there", 0),
        ({}, "there", 1),
        ({"here": SiteState.ACTIVE, "a": SiteState.ACTIVE}, "", 1),
    ],
    ids=[
        "a comes first",
        "its writer is there",
        "the only one left",
        "b comes first",
        "no others",
        "it was adopted",
    ],
)
async def test_one_site_alone_removes_it(
    house: House, sites: dict[str, SiteState], writer: str, went: int
) -> None:
    shared = Documents(house.state, SHARED)
    await shared.prepare()
    for name, state in sites.items():
        await shared.put(SITES + name, Site(name, "http://nowhere", state=state))
    version = replace((await put(house, "dog")).version, site=writer)
    facts = Facts(version, size=4, etag="etag", owner="main", expires=house.now() + HOUR)
    await house.replicas.put("photos", "cat", Body(b"meow"), facts)
    house.ahead = 2 * HOUR

    assert await expiry_of(house, several=True).run() == went


async def test_a_bucket_of_the_same_name_that_came_later_has_no_rule(house: House) -> None:
    rules = ExpiryRules(house.state)
    await let_expire(house, ExpiryRule(days=1))
    assert await rules.of("photos") == (ExpiryRule(days=1),)
    shared = Documents(house.state, SHARED)
    await shared.put(f"{EXPIRY}photos", BucketExpiry(1, (ExpiryRule(days=1),)))

    assert await ExpiryRules(house.state).of("photos") == ()


async def test_rules_are_changed_piece_by_piece(house: House) -> None:
    await house.buckets.create("archive", "main", "")
    rules = ExpiryRules(house.state)

    await rules.change("photos", days=30, archive=None)
    await rules.change("photos", days=None, archive="archive")
    assert await rules.of("photos") == (ExpiryRule(days=30, archive="archive"),)
    await rules.change("photos", days=0, archive=None)
    assert await rules.of("photos") == (ExpiryRule(archive="archive"),)
    await rules.change("photos", days=None, archive="")

    assert await rules.of("photos") == ()


async def test_a_rule_that_cannot_be_is_refused(house: House) -> None:
    rules = ExpiryRules(house.state)

    with pytest.raises(Refused, match="own archive"):
        await rules.change("photos", days=1, archive="photos")
    with pytest.raises(NotFound, match="nowhere"):
        await rules.change("photos", days=1, archive="nowhere")
    with pytest.raises(NotFound, match="nowhere"):
        await rules.change("nowhere", days=1, archive=None)
