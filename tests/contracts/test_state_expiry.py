"""Objects that expire, in every state store: found by when they do, while they are there."""

from typing import Final

from msgspec.structs import replace

from backends.model import Event, Facts, Row
from backends.state.protocol import FIRST_DUE, Due, StateStore
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    Processes,
    Wall,
    commit,
    make_bucket,
    put,
    row,
)

DAY: Final = 24 * 3_600_000


async def put_until(state: StateStore, key: str, expires: int) -> Row:
    """Write an object that expires then."""
    intent = await state.begin(BUCKET, key, lease=LEASE)
    plain = row(intent.version, key=key)
    written = replace(plain, facts=replace(plain.facts, expires=expires))
    assert (await commit(state, written, intent=intent)).won
    return written


async def expired(state: StateStore, limit: int = 10) -> list[str]:
    """The keys that are found, page by page."""
    keys: list[str] = []
    after = FIRST_DUE
    while rows := await state.expired(after=after, limit=limit):
        keys += [one.key for one in rows]
        after = Due(rows[-1].facts.expires, rows[-1].bucket, rows[-1].key)
    return keys


async def bury_end(state: StateStore, ended: Row) -> bool:
    """Leave the tombstone of an object that came to its end; whether it took its place."""
    tombstone = row(ended.version.end, key=ended.key, deleted=True)
    event = Event("LifecycleExpiration:Delete", BUCKET, ended.key, tombstone.version, at=NOON)
    return (await state.commit(tombstone, event)).replaced is not None


async def test_what_expired_is_found_by_when_it_does(state: StateStore, wall: Wall) -> None:
    for key, expires in {"b": 2, "c": 1, "a": 2, "late": DAY}.items():
        await put_until(state, key, NOON + expires)
    await put(state, "never")
    assert await expired(state) == []

    wall.milliseconds += 2

    assert await expired(state, limit=2) == ["c", "a", "b"]


async def test_it_is_found_as_it_was_written(state: StateStore, wall: Wall) -> None:
    written = await put_until(state, "cat", NOON + 1)
    wall.milliseconds += 1

    assert await state.expired(after=FIRST_DUE, limit=1) == [written]


async def test_what_was_written_anew_or_deleted_is_found_no_more(
    state: StateStore, wall: Wall
) -> None:
    for key in ("overwritten", "later", "deleted", "kept"):
        await put_until(state, key, NOON + 1)
    await put(state, "overwritten")
    await put_until(state, "later", NOON + DAY)
    await state.bury(BUCKET, "deleted", "ObjectRemoved:Delete", "1")
    wall.milliseconds += 1

    await state.forget_expired()

    assert await expired(state) == ["kept"]


async def test_forgetting_leaves_what_is_to_be_found(state: StateStore, wall: Wall) -> None:
    await put_until(state, "cat", NOON + 1)
    await put_until(state, "dog", NOON + 3 * DAY)
    wall.milliseconds += 2 * DAY

    await state.forget_expired()
    assert await expired(state) == ["cat"]
    wall.milliseconds += 2 * DAY

    assert await expired(state) == ["cat", "dog"]


async def test_another_process_finds_it(processes: Processes, wall: Wall) -> None:
    state, other = await processes.open(), await processes.open()
    await make_bucket(state)
    await put_until(state, "cat", NOON + 1)
    wall.milliseconds += 1

    assert await expired(other) == ["cat"]


async def test_the_end_of_an_object_leaves_a_tombstone_that_is_told(state: StateStore) -> None:
    await state.subscribe("readers")
    ended = await put(state)

    assert await bury_end(state, ended)

    newest = await state.newest(BUCKET, "cat")
    assert newest == Row(BUCKET, "cat", Facts(ended.version.end), deleted=True)
    [_, (_, told)] = await state.unread("readers", after=0, limit=10)
    assert (told.name, told.version) == ("LifecycleExpiration:Delete", ended.version.end)
    assert told.made == NOON


async def test_the_end_of_an_object_takes_no_later_write_with_it(state: StateStore) -> None:
    ended = await put(state)
    anew = await put(state)

    assert not await bury_end(state, ended)

    assert await state.find(BUCKET, "cat") == anew


async def test_a_write_that_came_right_after_wins_also_where_it_comes_later(
    state: StateStore,
) -> None:
    ended = await put(state)
    next_stamp = replace(ended.version, stamp=ended.version.stamp + 1)
    assert await bury_end(state, ended)

    assert (await commit(state, row(next_stamp))).won

    assert (await state.find(BUCKET, "cat")).version == next_stamp


async def test_two_sites_come_to_the_same_end(state: StateStore) -> None:
    ended = await put(state)

    assert await bury_end(state, ended)
    assert not await bury_end(state, ended)

    assert (await state.inventory(BUCKET, after="", limit=9))[0].version == ended.version.end
