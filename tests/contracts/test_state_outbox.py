"""The outbox of every state store: events for who subscribes, tombstones for who has not read."""

import pytest

from backends.errors import PreconditionFailed
from backends.model import COUNTER_BITS, Event, Precondition
from backends.state.protocol import StateStore
from tests.contracts.state_stores import (
    BUCKET,
    Processes,
    Wall,
    commit,
    make_bucket,
    put,
    row,
    version,
)


async def unread(state: StateStore, group: str = "west") -> list[tuple[int, Event]]:
    return await state.unread(group, after=0, limit=100)


async def keys(state: StateStore, group: str = "west") -> list[str]:
    return [event.key for _, event in await unread(state, group)]


async def bury(state: StateStore, key: str = "cat") -> None:
    await state.bury(BUCKET, key, "ObjectRemoved:Delete", "DeleteObject")


async def purged(state: StateStore, *, older_than: int = -1, limit: int = 100) -> int:
    return await state.purge_tombstones(older_than=older_than, limit=limit)


async def test_events_come_in_the_order_of_their_commits(state: StateStore) -> None:
    await state.subscribe("west")
    for key in ("b", "a", "b"):
        await put(state, key)
    await bury(state, "a")

    read = await unread(state)

    assert [event.key for _, event in read] == ["b", "a", "b", "a"]
    assert [number for number, _ in read] == sorted({number for number, _ in read})


async def test_a_delete_leaves_an_event_of_its_own_version(state: StateStore) -> None:
    await state.subscribe("west")
    written = await put(state)
    await bury(state)

    _, (_, removed) = await unread(state)

    assert (removed.name, removed.operation) == ("ObjectRemoved:Delete", "DeleteObject")
    assert removed.version > written.version


async def test_the_outbox_stays_empty_when_nobody_subscribes(state: StateStore) -> None:
    await put(state)
    await state.subscribe("west")

    assert await unread(state) == []


async def test_a_group_reads_only_what_came_after_it_subscribed(state: StateStore) -> None:
    await state.subscribe("west")
    await put(state, "before")
    await state.subscribe("east")
    await put(state, "after")

    assert await keys(state, "west") == ["before", "after"]
    assert await keys(state, "east") == ["after"]


async def test_subscribing_again_loses_nothing(state: StateStore) -> None:
    await state.subscribe("west")
    await put(state)

    await state.subscribe("west")

    assert await keys(state) == ["cat"]


async def test_a_group_that_never_subscribed_reads_nothing(state: StateStore) -> None:
    await state.subscribe("west")
    await put(state)

    assert await unread(state, "stranger") == []
    await state.acknowledge("stranger", 10)
    await state.unsubscribe("stranger")
    assert await keys(state) == ["cat"]


async def test_what_is_acknowledged_does_not_come_again_and_a_cursor_never_goes_back(
    state: StateStore,
) -> None:
    await state.subscribe("west")
    for key in ("a", "b", "c"):
        await put(state, key)
    numbers = [number for number, _ in await unread(state)]

    await state.acknowledge("west", numbers[1])
    await state.acknowledge("west", numbers[0])

    assert await keys(state) == ["c"]


async def test_events_are_read_in_pages(state: StateStore) -> None:
    await state.subscribe("west")
    for key in "abcde":
        await put(state, key)

    first = await state.unread("west", after=0, limit=2)
    second = await state.unread("west", after=first[-1][0], limit=100)

    assert [event.key for _, event in first + second] == list("abcde")


async def test_what_one_group_is_done_with_another_still_reads(state: StateStore) -> None:
    await state.subscribe("west")
    await state.subscribe("east")
    await put(state)
    [(number, _)] = await unread(state)

    await state.acknowledge("west", number)

    assert await keys(state, "west") == []
    assert await keys(state, "east") == ["cat"]


async def test_numbers_go_on_after_everything_was_read_and_removed(state: StateStore) -> None:
    await state.subscribe("west")
    await put(state)
    [(first, _)] = await unread(state)
    await state.acknowledge("west", first)
    await put(state)

    [(second, _)] = await unread(state)

    assert second > first


async def test_a_group_that_left_and_came_back_starts_anew(state: StateStore) -> None:
    await state.subscribe("west")
    await put(state, "before")
    await state.unsubscribe("west")
    await put(state, "between")
    await state.subscribe("west")
    await put(state, "after")

    assert await keys(state) == ["after"]


async def test_a_commit_that_changes_nothing_leaves_no_event(state: StateStore) -> None:
    await commit(state, row(version(2)))
    await state.subscribe("west")

    await commit(state, row(version(2)))
    await commit(state, row(version(1)))
    with pytest.raises(PreconditionFailed):
        await commit(state, row(version(3)), condition=Precondition(none_match="*"))
    await bury(state, "never there")

    assert await unread(state) == []


async def test_another_process_reads_the_events(processes: Processes) -> None:
    here, there = await processes.open(), await processes.open()
    await make_bucket(here)
    await there.subscribe("west")

    await put(here)

    assert await keys(there) == ["cat"]


async def test_old_tombstones_are_purged_and_young_ones_kept(state: StateStore, wall: Wall) -> None:
    for key in ("old", "young"):
        await put(state, key)
        await bury(state, key)
        wall.milliseconds += 1000

    assert await purged(state, older_than=1500) == 1
    assert await purged(state, older_than=1500) == 0
    assert await purged(state, older_than=500) == 1


async def test_a_purged_tombstone_holds_nothing_back_any_more(
    state: StateStore, wall: Wall
) -> None:
    await put(state)
    await bury(state)
    wall.milliseconds += 10
    late = row(version(1))

    assert not (await commit(state, late)).won
    await purged(state)
    assert (await commit(state, late)).won


async def test_a_tombstone_that_a_group_has_not_read_is_kept(state: StateStore, wall: Wall) -> None:
    await state.subscribe("west")
    await state.subscribe("east")
    await put(state)
    await bury(state)
    wall.milliseconds += 1000
    last = (await unread(state))[-1][0]

    await state.acknowledge("west", last)
    assert await purged(state) == 0
    await state.acknowledge("east", last)
    assert await purged(state) == 1


async def test_a_group_that_left_holds_no_tombstone(state: StateStore, wall: Wall) -> None:
    await state.subscribe("west")
    await put(state)
    await bury(state)
    wall.milliseconds += 1000

    await state.unsubscribe("west")

    assert await purged(state) == 1


async def test_a_tombstone_that_came_late_is_kept_from_when_it_came(
    state: StateStore, wall: Wall
) -> None:
    late = row(version(2, "west"), deleted=True)
    assert (await state.commit(late, None)).won
    wall.milliseconds += 1000

    assert await purged(state, older_than=1000) == 0
    assert not (await commit(state, row(version(1)))).won
    wall.milliseconds += 1
    assert await purged(state, older_than=1000) == 1
    assert await state.newest(BUCKET, "cat") is None


async def test_a_clock_that_is_ahead_elsewhere_keeps_no_tombstone_for_longer(
    state: StateStore, wall: Wall
) -> None:
    ahead = version((wall.milliseconds + 10**6) << COUNTER_BITS, "west")
    await commit(state, row(ahead))
    await bury(state)
    wall.milliseconds += 1000

    assert await purged(state, older_than=1000) == 0
    wall.milliseconds += 1
    assert await purged(state, older_than=1000) == 1


async def test_a_newer_tombstone_is_kept_from_its_own_arrival_the_same_one_is_not(
    state: StateStore, wall: Wall
) -> None:
    first, second = (row(version(stamp), deleted=True) for stamp in (1, 2))
    await state.commit(first, None)
    wall.milliseconds += 1000
    await state.commit(second, None)
    wall.milliseconds += 600

    assert (await state.commit(second, None)).won
    assert not (await state.commit(first, None)).won

    assert await purged(state, older_than=1000) == 0
    assert await purged(state, older_than=500) == 1


async def test_a_tombstone_that_came_late_is_kept_until_every_group_has_read_its_event(
    state: StateStore, wall: Wall
) -> None:
    await state.subscribe("west")
    await state.subscribe("east")
    await commit(state, row(version(1), deleted=True))
    wall.milliseconds += 1000
    [(number, _)] = await unread(state)

    assert await purged(state) == 0
    await state.acknowledge("west", number)
    assert await purged(state) == 0
    await state.acknowledge("east", number)
    assert await purged(state) == 1


async def test_tombstones_are_purged_so_many_at_a_time(state: StateStore, wall: Wall) -> None:
    for key in "abcde":
        await put(state, key)
        await bury(state, key)
    wall.milliseconds += 1000

    assert [await purged(state, limit=2) for _ in range(4)] == [2, 2, 1, 0]
