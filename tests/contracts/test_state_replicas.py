"""Changes of other sites in every state store: applied under the version that they have there."""

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
from backends.model import Intent, Precondition, Row, Upload, Version
from backends.state.protocol import Committed, StateStore
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
    version,
)

FIRST, SECOND, THIRD = (version(stamp, "west") for stamp in (10, 20, 30))


async def begin(state: StateStore, of: Version, *, alone: bool = False) -> Intent:
    return await state.begin(BUCKET, "cat", lease=LEASE, version=of, alone=alone)


def tombstone(of: Version) -> Row:
    return row(of, deleted=True, etag="")


async def discarded(state: StateStore) -> list[str]:
    return [one.locator for one in await state.discards(older_than=-1, limit=100)]


async def test_the_newest_row_is_the_live_one_or_a_tombstone_or_none(state: StateStore) -> None:
    assert await state.newest(BUCKET, "cat") is None
    written = await put(state)
    assert await state.newest(BUCKET, "cat") == written
    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "1")

    buried = await state.newest(BUCKET, "cat")

    assert buried is not None
    assert buried.deleted
    assert buried.version > written.version
    await put(state, "dog")
    assert await state.newest(BUCKET, "cow") is None
    with pytest.raises(BucketNotFound):
        await state.newest("nowhere", "cat")


async def test_a_tombstone_that_was_purged_is_not_the_newest(state: StateStore, wall: Wall) -> None:
    await commit(state, tombstone(FIRST))
    wall.milliseconds += 1000

    assert await state.purge_tombstones(older_than=0, limit=10) == 1

    assert await state.newest(BUCKET, "cat") is None


async def test_a_replica_is_promised_under_its_own_version(state: StateStore) -> None:
    intent = await begin(state, FIRST)

    assert intent == Intent(BUCKET, "cat", FIRST, NOON + LEASE, begun=FIRST, replica=True)
    written = row(FIRST)
    assert await state.commit(written, None, intent=intent) == Committed(won=True)
    assert await state.find(BUCKET, "cat") == written
    assert await state.unsettled() == 0


async def test_what_a_crash_leaves_of_a_replica_is_known_as_one(
    state: StateStore, wall: Wall
) -> None:
    replica = await begin(state, FIRST)
    local = await state.begin(BUCKET, "dog", lease=LEASE)
    wall.milliseconds += LEASE

    claimed = await state.claim_expired_intents(lease=LEASE, limit=10)

    assert {one.version: one.replica for one in claimed} == {
        replica.version: True,
        local.version: False,
    }


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_replica_of_what_is_there_or_older_is_superseded(
    state: StateStore, *, deleted: bool
) -> None:
    await state.commit(row(SECOND, deleted=deleted), None)

    for stale in (FIRST, SECOND, version(SECOND.stamp, "east")):
        with pytest.raises(Superseded):
            await begin(state, stale)
    assert await state.unsettled() == 0
    assert (await begin(state, version(SECOND.stamp, "zoo"))).version.site == "zoo"
    assert (await begin(state, THIRD)).version == THIRD


async def test_nothing_is_promised_where_no_bucket_or_upload_is(state: StateStore) -> None:
    with pytest.raises(BucketNotFound):
        await state.begin("nowhere", "cat", lease=LEASE, version=FIRST)
    with pytest.raises(UploadNotFound):
        await state.begin(BUCKET, "cat", lease=LEASE, version=FIRST, upload="never begun")


async def test_one_writer_at_a_time_has_a_version(processes: Processes) -> None:
    here, there = await processes.open(), await processes.open()
    await make_bucket(here)
    intent = await begin(here, FIRST)

    with pytest.raises(Busy):
        await begin(there, FIRST)
    await begin(there, SECOND)
    await begin(there, version(FIRST.stamp, "east"))
    await here.drop_intent(intent)

    assert (await begin(there, FIRST)).version == FIRST


async def test_a_condition_holds_of_a_replica_too(state: StateStore) -> None:
    await commit(state, row(FIRST))

    with pytest.raises(PreconditionFailed):
        await state.begin(
            BUCKET, "cat", lease=LEASE, version=SECOND, condition=Precondition(none_match="*")
        )


async def test_a_replica_takes_its_turn_and_keeps_its_version(state: StateStore) -> None:
    slow = await begin(state, THIRD)
    quick = await begin(state, SECOND, alone=True)
    with pytest.raises(Busy):
        await begin(state, version(40, "west"), alone=True)
    with pytest.raises(Busy):
        await state.restamp(slow, lease=LEASE, alone=True)
    await state.commit(row(SECOND), None, intent=quick, overwrote=True)

    alone = await state.restamp(slow, lease=2 * LEASE, alone=True)

    assert alone == Intent(
        BUCKET, "cat", THIRD, NOON + 2 * LEASE, begun=THIRD, alone=True, replica=True
    )
    assert await state.is_changing(BUCKET, "cat")
    with pytest.raises(Unavailable):
        await state.commit(row(THIRD), None, intent=slow)
    assert (await state.commit(row(THIRD), None, intent=alone, overwrote=True)).won


async def test_a_replica_whose_turn_comes_too_late_is_superseded(state: StateStore) -> None:
    slow = await begin(state, FIRST)
    await put(state)

    held = await state.restamp(slow, lease=LEASE)
    with pytest.raises(Superseded):
        await state.restamp(held, lease=LEASE, alone=True)

    assert held.version == FIRST
    assert not (await state.commit(row(FIRST), None, intent=held)).won


async def test_a_replica_that_lost_its_lease_neither_holds_on_nor_commits(
    state: StateStore, wall: Wall
) -> None:
    intent = await begin(state, FIRST)
    renewed = await state.renew(intent, lease=2 * LEASE)
    assert (renewed.version, renewed.replica) == (FIRST, True)
    wall.milliseconds += 2 * LEASE
    [taken] = await state.claim_expired_intents(lease=LEASE, limit=10)

    for alone in (False, True):
        with pytest.raises(Unavailable):
            await state.restamp(renewed, lease=LEASE, alone=alone)
    with pytest.raises(Unavailable):
        await state.commit(row(FIRST), None, intent=renewed)
    assert (await state.commit(row(FIRST), None, intent=taken)).won


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_local_write_is_above_what_a_site_wrote_whose_clock_is_ahead(
    state: StateStore, wall: Wall, *, deleted: bool
) -> None:
    ahead = version((wall() + 86_400_000) << 16, "west")
    intent = await begin(state, ahead)
    beside = await state.begin(BUCKET, "cat", lease=LEASE)
    assert beside.version > ahead
    await state.drop_intent(beside)
    await state.commit(row(ahead, deleted=deleted), None, intent=intent)

    written = await put(state)

    assert written.version > ahead
    assert (await state.find(BUCKET, "cat")).version == written.version


async def test_a_local_delete_is_above_what_a_site_wrote_whose_clock_is_ahead(
    state: StateStore, wall: Wall
) -> None:
    ahead = version((wall() + 86_400_000) << 16, "west")
    await state.commit(row(ahead), None)

    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "1")

    newest = await state.newest(BUCKET, "cat")
    assert newest is not None
    assert newest.deleted
    assert newest.version > ahead


async def test_a_delete_that_comes_with_its_version_makes_the_bytes_a_discard(
    state: StateStore,
) -> None:
    await state.subscribe("west")
    written = row(FIRST)
    await state.commit(written, None)

    committed = await state.commit(tombstone(SECOND), None)

    assert committed == Committed(won=True, replaced=written)
    assert await state.newest(BUCKET, "cat") == Row(
        BUCKET, "cat", tombstone(SECOND).facts, deleted=True
    )
    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")
    assert await state.page(BUCKET, prefix="", after="", limit=10) == []
    assert await discarded(state) == [written.locator]
    assert await state.unread("west", after=0, limit=10) == []


async def test_a_delete_in_turn_that_comes_with_its_version_leaves_no_discard(
    state: StateStore,
) -> None:
    await state.commit(row(FIRST), None)
    intent = await state.begin(BUCKET, "cat", lease=LEASE, version=SECOND, alone=True, deletes=True)
    assert (intent.deletes, intent.replica) == (True, True)

    committed = await state.commit(tombstone(SECOND), None, intent=intent, overwrote=True)

    assert committed.won
    assert await discarded(state) == []
    assert not await state.is_changing(BUCKET, "cat")


async def test_a_delete_of_what_never_came_keeps_a_late_create_out(state: StateStore) -> None:
    late = await begin(state, FIRST)

    assert await state.commit(tombstone(SECOND), None) == Committed(won=True)

    with pytest.raises(Superseded):
        await state.restamp(late, lease=LEASE, alone=True)
    assert not (await state.commit(row(FIRST), None, intent=late)).won
    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")
    [listed] = await state.inventory(BUCKET, after="", limit=10)
    assert (listed.version, listed.deleted) == (SECOND, True)


async def test_the_newest_tombstone_stays(state: StateStore) -> None:
    await state.commit(tombstone(SECOND), None)

    assert not (await state.commit(tombstone(FIRST), None)).won
    assert await state.commit(tombstone(SECOND), None) == Committed(won=True)
    assert (await state.commit(tombstone(THIRD), None)).won

    newest = await state.newest(BUCKET, "cat")
    assert newest is not None
    assert newest.version == THIRD
    assert len(await state.inventory(BUCKET, after="", limit=10)) == 1


async def test_stale_uploads_can_be_asked_for_by_how_their_names_begin(
    state: StateStore, wall: Wall
) -> None:
    names = ("replica", "replica-1", "replica-2", "replicb")
    for name in names:
        await state.create_upload(Upload(BUCKET, "film", name, "token", wall(), "main"))
        wall.milliseconds += 1

    found = await state.stale_uploads(older_than=0, limit=10, prefix="replica-")

    assert [one.name for one in found] == ["replica-1", "replica-2"]
    everything = await state.stale_uploads(older_than=0, limit=10)
    assert [one.name for one in everything] == list(names)
