"""Rows that are here while their bytes are gone: stored anew, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from backends.errors import Busy, Corrupt, NotFound, Unavailable
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

V = west(10)


async def put(site: House, data: bytes, version: Version = V, *, again: bool = False) -> bool:
    facts = facts_of(data, version)
    return await site.replicas.put("photos", "cat", body(data), facts, again=again)


async def lose(site: House) -> None:
    """Remove the bytes behind the rules' back: files, or what lies in the catalog."""
    for segment in site.segments():
        segment.unlink()
    if (await site.objects.find("photos", "cat")).facts.size < 20_000:
        await site.store.delete("photos", "cat")


async def is_lost(site: House) -> bool:
    try:
        await site.read("photos", "cat")
    except Corrupt:
        return True
    return False


@pytest.fixture(params=[b"small", LARGE], ids=["small", "large"])
async def data(request: pytest.FixtureRequest, site: House) -> bytes:
    """What was here, of which the row is left."""
    content: bytes = request.param
    await put(site, content)
    await lose(site)
    assert await is_lost(site)
    return content


async def test_bytes_that_are_gone_are_put_again_under_the_row_that_stays(
    site: House, data: bytes
) -> None:
    assert await put(site, data)
    assert await is_lost(site)

    assert await put(site, data, again=True)

    assert (await site.objects.find("photos", "cat")).facts == facts_of(data, V)
    assert await site.read("photos", "cat") == data
    await settled(site)


async def test_only_what_is_here_is_put_again(site: House) -> None:
    facts = facts_of(b"x", V)
    assert not await site.replicas.put("photos", "cat", Unread(b"x"), facts, again=True)
    await site.replicas.delete("photos", "cat", west(20))
    assert not await site.replicas.put("photos", "cat", Unread(b"x"), facts, again=True)

    assert await site.state.newest("photos", "cat") == tombstone(west(20))
    await settled(site)


async def test_wrong_bytes_are_not_put_in_the_place_of_lost_ones(site: House, data: bytes) -> None:
    wrong = Body(data, etag=digest(b"other"))

    with pytest.raises(Corrupt):
        await site.replicas.put("photos", "cat", wrong, facts_of(data, V), again=True)

    assert await is_lost(site)
    assert await site.state.unsettled() == 0
    assert await put(site, data, again=True)
    assert await site.read("photos", "cat") == data


async def test_one_at_a_time_puts_again(site: House) -> None:
    await put(site, LARGE)
    await lose(site)
    slow, facts = halting(LARGE), facts_of(LARGE, V)
    first = asyncio.create_task(site.replicas.put("photos", "cat", slow, facts, again=True))
    await slow.halted.wait()

    with pytest.raises(Busy):
        await site.replicas.put("photos", "cat", Unread(LARGE), facts, again=True)
    slow.go_on.set()

    assert await first
    assert await site.read("photos", "cat") == LARGE
    await settled(site)


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_newer_version_that_comes_meanwhile_stays(site: House, deleted: bool) -> None:
    await put(site, LARGE)
    await lose(site)
    slow, facts = halting(LARGE), facts_of(LARGE, V)
    coming = asyncio.create_task(site.replicas.put("photos", "cat", slow, facts, again=True))
    await slow.halted.wait()
    if deleted:
        await site.replicas.delete("photos", "cat", west(20))
    else:
        await site.objects.put("photos", "cat", Body(b"here"), FACTS, "1")
    slow.go_on.set()

    assert not await coming

    newest = await site.state.newest("photos", "cat")
    assert newest is not None
    assert newest.deleted == deleted
    assert newest.version > V
    if not deleted:
        assert await site.read("photos", "cat") == b"here"
    await settled(site)


async def test_killed_while_the_bytes_come_the_row_is_lost_as_before(
    site: House, data: bytes
) -> None:
    killed = asyncio.create_task(
        site.replicas.put("photos", "cat", Endless(data), facts_of(data, V), again=True)
    )
    while not await site.state.unsettled():
        await asyncio.sleep(0)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)

    await recovered(site)

    assert await is_lost(site)
    assert await put(site, data, again=True)
    assert await site.read("photos", "cat") == data
    await settled(site)


class Endless(Body):
    """A body of which nothing ever comes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


async def test_killed_before_the_commit_it_is_finished_by_recovery(
    site: House, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kill_at_commit(site, monkeypatch, put(site, data, again=True))

    await recovered(site)

    assert (await site.objects.find("photos", "cat")).facts == facts_of(data, V)
    assert await site.read("photos", "cat") == data
    await settled(site)


async def test_bytes_that_were_away_for_a_while_are_not_dropped_by_recovery(
    site: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before anything was stored, while the old bytes were there all the time."""
    await put(site, LARGE)
    await site.state.begin("photos", "cat", lease=LEASE, version=V, again=True)

    await recovered(site)
    await site.discards.settle(older_than=-1)

    assert await site.read("photos", "cat") == LARGE
    await settled(site)


@pytest.mark.parametrize("deleted", [False, True])
async def test_killed_before_a_commit_that_lost_nothing_of_it_is_left(
    site: House, data: bytes, monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    await kill_at_commit(site, monkeypatch, put(site, data, again=True))
    if site.keeps_replaced:
        if deleted:
            await site.replicas.delete("photos", "cat", west(FAR_AHEAD))
        else:
            await put(site, b"newer", west(FAR_AHEAD))

    await recovered(site)

    if site.keeps_replaced and deleted:
        with pytest.raises(NotFound):
            await site.objects.find("photos", "cat")
    else:
        assert await site.read("photos", "cat") == (b"newer" if site.keeps_replaced else data)
    await settled(site)


async def recovered(site: House) -> None:
    """Long after, a worker has settled what was left."""
    site.ahead = LEASE + 1
    await site.recovery.run()
    site.ahead = 0
    assert await site.state.unsettled() == 0


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
