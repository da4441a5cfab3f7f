"""Bytes of a row that are stored anew in every state store: the row stays, its locator changes."""

import pytest

from backends.errors import (
    BucketNotFound,
    Busy,
    NotFound,
    PreconditionFailed,
    Superseded,
    Unavailable,
    UploadNotFound,
)
from backends.model import Intent, Precondition, Row, Version
from backends.state.protocol import Committed, StateStore
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    Processes,
    Wall,
    make_bucket,
    put,
    row,
    version,
)

FIRST, SECOND, THIRD = (version(stamp, "west") for stamp in (10, 20, 30))
LOST = row(SECOND)
FOUND = row(SECOND, locator="found")


@pytest.fixture
async def there(state: StateStore) -> StateStore:
    """A store that has LOST, and a group that hears of changes."""
    await state.subscribe("group")
    await state.commit(LOST, None)
    return state


async def begin(state: StateStore, of: Version = SECOND, *, alone: bool = False) -> Intent:
    return await state.begin(BUCKET, "cat", lease=LEASE, version=of, alone=alone, again=True)


async def discarded(state: StateStore) -> list[str]:
    return [one.locator for one in await state.discards(older_than=-1, limit=100)]


async def is_unchanged(state: StateStore, expected: Row = LOST) -> bool:
    heard = await state.unread("group", after=0, limit=10)
    return await state.find(BUCKET, "cat") == expected and not heard


async def test_the_bytes_of_a_row_are_replaced_and_nothing_else(there: StateStore) -> None:
    intent = await begin(there)

    assert intent == Intent(
        BUCKET, "cat", SECOND, NOON + LEASE, begun=SECOND, replica=True, again=True
    )
    assert await is_unchanged(there)
    committed = await there.commit(FOUND, None, intent=intent)
    assert committed == Committed(won=True, replaced=LOST)
    assert await is_unchanged(there, FOUND)
    assert await discarded(there) == [LOST.locator]
    assert await there.unsettled() == 0


async def test_bytes_that_were_overwritten_are_no_discard(there: StateStore) -> None:
    slow = await begin(there)
    alone = await there.restamp(slow, lease=2 * LEASE, alone=True)
    assert (alone.version, alone.alone, alone.again) == (SECOND, True, True)
    assert await there.is_changing(BUCKET, "cat")
    with pytest.raises(Unavailable):
        await there.commit(FOUND, None, intent=slow)

    assert (await there.commit(FOUND, None, intent=alone, overwrote=True)).won

    assert await is_unchanged(there, FOUND)
    assert await discarded(there) == []
    assert not await there.is_changing(BUCKET, "cat")


async def test_the_same_locator_again_ends_the_promise(there: StateStore) -> None:
    intent = await begin(there, alone=True)

    assert await there.commit(LOST, None, intent=intent) == Committed(won=True)

    assert await is_unchanged(there)
    assert await discarded(there) == []
    assert await there.unsettled() == 0


async def test_a_second_commit_changes_nothing_and_has_won(there: StateStore) -> None:
    intent = await begin(there)
    await there.commit(FOUND, None, intent=intent)

    assert await there.commit(FOUND, None, intent=intent) == Committed(won=True)

    assert await is_unchanged(there, FOUND)
    assert await discarded(there) == [LOST.locator]


@pytest.mark.parametrize("of", [FIRST, THIRD, version(SECOND.stamp, "east")])
async def test_only_the_current_version_is_promised_again(there: StateStore, of: Version) -> None:
    with pytest.raises(Superseded):
        await begin(there, of)
    assert await there.unsettled() == 0


async def test_a_tombstone_or_nothing_is_not_promised_again(state: StateStore) -> None:
    with pytest.raises(Superseded):
        await begin(state)
    await state.commit(row(SECOND, deleted=True, etag=""), None)
    with pytest.raises(Superseded):
        await begin(state)
    with pytest.raises(BucketNotFound):
        await state.begin("nowhere", "cat", lease=LEASE, version=SECOND, again=True)


async def test_a_condition_and_an_upload_are_asked_for_as_ever(there: StateStore) -> None:
    with pytest.raises(PreconditionFailed):
        await there.begin(
            BUCKET,
            "cat",
            lease=LEASE,
            version=SECOND,
            again=True,
            condition=Precondition(match="other"),
        )
    with pytest.raises(UploadNotFound):
        await there.begin(
            BUCKET, "cat", lease=LEASE, version=SECOND, again=True, upload="never begun"
        )
    assert await there.unsettled() == 0


async def test_one_writer_at_a_time_has_the_version_and_the_key(there: StateStore) -> None:
    first = await begin(there, alone=True)

    with pytest.raises(Busy):
        await begin(there)
    with pytest.raises(Busy):
        await there.begin(BUCKET, "cat", lease=LEASE, alone=True)
    await there.drop_intent(first)
    second = await begin(there)
    other = await there.begin(BUCKET, "cat", lease=LEASE, alone=True)
    with pytest.raises(Busy):
        await there.restamp(second, lease=LEASE, alone=True)
    await there.drop_intent(other)

    assert (await there.restamp(second, lease=LEASE, alone=True)).alone


@pytest.mark.parametrize("deleted", [False, True])
async def test_what_came_above_meanwhile_stays(there: StateStore, *, deleted: bool) -> None:
    intent = await begin(there)
    newer = row(THIRD, deleted=deleted, etag="" if deleted else "etag")
    await there.commit(newer, None)

    with pytest.raises(Superseded):
        await there.restamp(intent, lease=LEASE, alone=True)
    assert await there.commit(FOUND, None, intent=intent) == Committed(won=False)

    newest = await there.newest(BUCKET, "cat")
    assert newest is not None
    assert (newest.version, newest.deleted) == (THIRD, deleted)
    assert await discarded(there) == [LOST.locator]
    assert await there.unsettled() == 1
    await there.drop_intent(intent)


async def test_a_local_write_beside_it_is_above(there: StateStore) -> None:
    intent = await begin(there)
    written = await put(there)

    assert written.version > SECOND
    assert not (await there.commit(FOUND, None, intent=intent)).won
    assert await there.find(BUCKET, "cat") == written


async def test_a_lease_that_was_lost_is_not_committed_but_by_who_took_it(
    processes: Processes, wall: Wall
) -> None:
    here, worker = await processes.open(), await processes.open()
    await make_bucket(here)
    await here.commit(LOST, None)
    intent = await begin(here)
    wall.milliseconds += LEASE
    [taken] = await worker.claim_expired_intents(lease=LEASE, limit=10)
    assert (taken.again, taken.replica, taken.version) == (True, True, SECOND)

    with pytest.raises(Unavailable):
        await here.restamp(intent, lease=LEASE, alone=True)
    with pytest.raises(Unavailable):
        await here.commit(FOUND, None, intent=intent)
    assert await here.find(BUCKET, "cat") == LOST

    assert (await worker.commit(FOUND, None, intent=taken)).won
    assert await here.find(BUCKET, "cat") == FOUND


async def test_a_row_that_was_removed_does_not_come_back(there: StateStore) -> None:
    intent = await begin(there)
    await there.bury(BUCKET, "cat", "ObjectRemoved:Delete", "1")

    assert not (await there.commit(FOUND, None, intent=intent)).won

    with pytest.raises(NotFound):
        await there.find(BUCKET, "cat")
