"""Changes of other sites: in any order, late, twice, halfway, and the same rows in the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from msgspec.structs import replace

from backends.errors import BucketNotFound, Busy, Corrupt, NotFound, Unavailable
from backends.model import Version
from tests.gateway.conftest import FACTS, LEASE, Body, House
from tests.gateway.replicated import (
    FAR_AHEAD,
    LARGE,
    Unread,
    body,
    digest,
    facts_of,
    halting,
    settled,
    tombstone,
    west,
)


async def put(site: House, data: bytes, version: Version) -> bool:
    return await site.replicas.put("photos", "cat", body(data), facts_of(data, version))


async def delete(site: House, version: Version) -> bool:
    return await site.replicas.delete("photos", "cat", version)


async def put_here(site: House, data: bytes = b"here") -> None:
    await site.objects.put("photos", "cat", Body(data), FACTS, "1")


@pytest.mark.parametrize("data", [b"", b"small", LARGE])
async def test_a_replica_is_the_object_with_all_its_facts(site: House, data: bytes) -> None:
    facts = facts_of(data, west(10))

    assert await site.replicas.put("photos", "cat", body(data), facts)

    assert (await site.objects.find("photos", "cat")).facts == facts
    assert (await site.store.head("photos", "cat")).facts == facts
    assert await site.read("photos", "cat") == data
    await settled(site)


async def test_an_etag_that_is_no_md5_is_not_compared(site: House) -> None:
    facts = replace(facts_of(LARGE, west(10)), etag="0123456789abcdef0123456789abcdef-2")

    assert await site.replicas.put("photos", "cat", body(LARGE), facts)


@pytest.mark.parametrize("data", [LARGE[:-1], LARGE + b"x", b""])
async def test_the_length_is_compared_where_nothing_else_is(site: House, data: bytes) -> None:
    facts = replace(facts_of(LARGE, west(10)), etag="0123456789abcdef0123456789abcdef-2")

    with pytest.raises(Corrupt):
        await site.replicas.put("photos", "cat", Unsized(body(data)), facts)

    assert await site.state.newest("photos", "cat") is None
    await settled(site)


async def test_a_body_that_does_not_end_is_not_read_on(site: House) -> None:
    long = body(LARGE * 4)

    with pytest.raises(Corrupt):
        await site.replicas.put("photos", "cat", Unsized(long), facts_of(LARGE, west(10)))

    assert long.received < 2 * len(LARGE)
    await settled(site)


async def test_the_highest_version_stays_in_any_order(site: House) -> None:
    assert await put(site, b"second", west(20))
    assert not await put(site, b"first", west(10))
    assert await put(site, LARGE, west(30))
    assert not await delete(site, west(25))
    assert not await put(site, b"second", west(20))

    assert await site.read("photos", "cat") == LARGE
    await settled(site)


async def test_what_is_stale_or_here_already_is_not_even_read(site: House) -> None:
    await put(site, b"second", west(20))

    first, second = (facts_of(b"x", west(stamp)) for stamp in (10, 20))

    assert not await site.replicas.put("photos", "cat", Unread(b"x"), first)
    assert await site.replicas.put("photos", "cat", Unread(b"x"), second)
    assert await site.read("photos", "cat") == b"second"
    await settled(site)


async def test_a_write_here_is_above_what_came_from_a_site_whose_clock_is_ahead(
    site: House,
) -> None:
    await put(site, b"there", west(FAR_AHEAD))

    await put_here(site)

    assert (await site.objects.find("photos", "cat")).version > west(FAR_AHEAD)
    assert await site.read("photos", "cat") == b"here"


@pytest.mark.parametrize("data", [b"small", LARGE])
async def test_a_delete_leaves_a_tombstone_and_no_bytes(site: House, data: bytes) -> None:
    await put(site, data, west(10))

    assert await delete(site, west(20))
    assert await delete(site, west(20))

    with pytest.raises(NotFound):
        await site.objects.find("photos", "cat")
    assert await site.state.newest("photos", "cat") == tombstone(west(20))
    await settled(site)


async def test_replaced_bytes_are_dropped_soon(house: House) -> None:
    dropping = asyncio.create_task(house.discards.run())
    await put(house, LARGE, west(10))
    await put(house, LARGE, west(20))
    await delete(house, west(30))

    async with asyncio.timeout(10):
        while house.segments():
            await asyncio.sleep(0)

    dropping.cancel()
    await asyncio.gather(dropping, return_exceptions=True)
    assert await house.state.newest("photos", "cat") == tombstone(west(30))


async def test_a_late_create_does_not_come_back(site: House) -> None:
    assert await delete(site, west(20))

    late = await site.replicas.put("photos", "cat", Unread(b"x"), facts_of(b"x", west(10)))

    assert not late
    assert not await delete(site, west(15))
    assert await delete(site, west(30))
    assert await site.state.newest("photos", "cat") == tombstone(west(30))
    await settled(site)


async def test_a_newer_create_comes_above_a_tombstone(site: House) -> None:
    await delete(site, west(20))

    assert await put(site, LARGE, west(30))

    assert await site.read("photos", "cat") == LARGE
    assert not await delete(site, west(20))
    await settled(site)


async def test_of_two_that_bring_a_version_at_once_one_does(site: House) -> None:
    facts = facts_of(LARGE, west(FAR_AHEAD))
    slow = halting(LARGE)
    first = asyncio.create_task(site.replicas.put("photos", "cat", slow, facts))
    await slow.halted.wait()

    with pytest.raises(Busy):
        await site.replicas.put("photos", "cat", Unread(LARGE), facts)
    slow.go_on.set()

    assert await first
    assert await site.replicas.put("photos", "cat", Unread(LARGE), facts)
    assert await site.read("photos", "cat") == LARGE
    await settled(site)


async def test_a_write_here_while_the_body_comes_is_the_newer_one(site: House) -> None:
    slow = halting(LARGE)
    facts = facts_of(LARGE, west(10))
    coming = asyncio.create_task(site.replicas.put("photos", "cat", slow, facts))
    await slow.halted.wait()
    await put_here(site)
    slow.go_on.set()

    assert not await coming

    assert await site.read("photos", "cat") == b"here"
    await settled(site)


async def test_a_delete_while_the_body_comes_is_the_newer_one(site: House) -> None:
    slow = halting(LARGE)
    facts = facts_of(LARGE, west(10))
    coming = asyncio.create_task(site.replicas.put("photos", "cat", slow, facts))
    await slow.halted.wait()
    assert await delete(site, west(20))
    slow.go_on.set()

    assert not await coming

    assert await site.state.newest("photos", "cat") == tombstone(west(20))
    await settled(site)


async def test_a_write_here_that_ends_after_a_replica_from_ahead_is_the_newer_one(
    site: House,
) -> None:
    slow = halting(LARGE)
    writing = asyncio.create_task(site.objects.put("photos", "cat", slow, FACTS, "1"))
    await slow.halted.wait()

    assert await put(site, b"there", west(FAR_AHEAD))
    slow.go_on.set()
    written = await writing

    assert written.version > west(FAR_AHEAD)
    assert await site.read("photos", "cat") == LARGE
    await settled(site)


@pytest.mark.parametrize("data", [b"small", LARGE])
@pytest.mark.parametrize("there", [False, True])
async def test_a_body_that_is_not_what_its_facts_say_leaves_nothing(
    site: House, data: bytes, there: bool
) -> None:
    if there:
        await put(site, b"old", west(1))
    right = facts_of(data, west(10))
    other = Body(bytes(len(data)), etag=digest(bytes(len(data))))
    unannounced = body(data + data)
    wrong = (other, body(data[:-1]), body(data + b"x"), Unsized(unannounced))

    for bad in wrong:
        with pytest.raises(Corrupt):
            await site.replicas.put("photos", "cat", bad, right)

    newest = await site.state.newest("photos", "cat")
    assert (newest.version if newest else None) == (west(1) if there else None)
    assert await site.stored("photos") == (["cat"] if there else [])
    await settled(site)


class Unsized:
    """A body of unknown length."""

    size = None

    def __init__(self, of: Body) -> None:
        self._of = of
        self.checksum = None

    @property
    def received(self) -> int:
        return self._of.received

    @property
    def etag(self) -> str:
        return self._of.etag

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._of.__aiter__()


async def test_a_body_of_unknown_length_is_taken(site: House) -> None:
    facts = facts_of(LARGE, west(10))

    assert await site.replicas.put("photos", "cat", Unsized(body(LARGE)), facts)

    assert await site.read("photos", "cat") == LARGE


async def test_a_bucket_that_is_not_here_is_not_found(site: House) -> None:
    with pytest.raises(BucketNotFound):
        await site.replicas.put("films", "cat", Unread(b"x"), facts_of(b"x", west(10)))
    with pytest.raises(BucketNotFound):
        await site.replicas.delete("films", "cat", west(10))
    assert await site.state.unsettled() == 0


async def test_who_is_killed_while_the_body_comes_can_be_followed_after_recovery(
    site: House,
) -> None:
    slow = halting(LARGE)
    facts = facts_of(LARGE, west(10))
    killed = asyncio.create_task(site.replicas.put("photos", "cat", slow, facts))
    await slow.halted.wait()
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    with pytest.raises(Busy):
        await put(site, LARGE, west(10))

    site.ahead = LEASE + 1
    await site.recovery.run()

    assert await site.state.newest("photos", "cat") is None
    assert await put(site, LARGE, west(10))
    await settled(site)


@pytest.mark.parametrize("there", [False, True])
async def test_who_is_killed_before_the_commit_is_finished_by_recovery(
    site: House, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        await put_here(site, LARGE)
    version = west(FAR_AHEAD)
    await kill_at_commit(site, monkeypatch, put(site, b"there", version))

    site.ahead = LEASE + 1
    await site.recovery.run()

    assert (await site.objects.find("photos", "cat")).facts == facts_of(b"there", version)
    assert await site.read("photos", "cat") == b"there"
    assert await site.replicas.put("photos", "cat", Unread(b"there"), facts_of(b"there", version))
    await settled(site)


async def test_a_delete_that_is_killed_is_finished_by_recovery_or_comes_again(
    site: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_here(site, LARGE)
    version = west(FAR_AHEAD)
    await kill_at_commit(site, monkeypatch, delete(site, version))

    site.ahead = LEASE + 1
    await site.recovery.run()

    assert await delete(site, version)
    assert await site.state.newest("photos", "cat") == tombstone(version)
    await settled(site)


async def kill_at_commit(
    site: House, monkeypatch: pytest.MonkeyPatch, change: Awaitable[bool]
) -> None:
    """Run the change up to its commit, which no one hears of."""

    async def killed(*_: object, **__: object) -> None:
        raise Unavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(site.state, "commit", killed)
        with pytest.raises(Unavailable):
            await change


async def test_many_changes_at_once_end_with_the_newest_everywhere(site: House) -> None:
    versions = [west(stamp) for stamp in range(1, 25)]
    changes = [
        delete(site, version) if version.stamp % 3 == 0 else put(site, b"%d" % at * 9999, version)
        for at, version in enumerate(versions)
    ]

    await asyncio.gather(*changes)

    assert await site.state.newest("photos", "cat") == tombstone(versions[-1])
    await settled(site)
