"""Writers of one key take turns where a storage overwrites in place, in every state store."""

import pytest

from backends.errors import Busy, NotFound, PreconditionFailed, Unavailable
from backends.model import Precondition
from backends.state.protocol import StateStore
from tests.contracts.state_stores import BUCKET, LEASE, Processes, Wall, commit, make_bucket, row


async def test_one_writer_has_the_key_alone(state: StateStore) -> None:
    first = await state.begin(BUCKET, "cat", lease=LEASE, alone=True)

    with pytest.raises(Busy):
        await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    await state.begin(BUCKET, "dog", lease=LEASE, alone=True)
    await state.drop_intent(first)

    await state.begin(BUCKET, "cat", lease=LEASE, alone=True)


async def test_another_process_is_shut_out_as_well(processes: Processes) -> None:
    here, there = await processes.open(), await processes.open()
    await make_bucket(here)
    intent = await here.begin(BUCKET, "cat", lease=LEASE, alone=True)

    with pytest.raises(Busy):
        await there.begin(BUCKET, "cat", lease=LEASE, alone=True)
    assert await there.is_changing(BUCKET, "cat")
    await commit(here, row(intent.version), intent=intent)

    assert not await there.is_changing(BUCKET, "cat")
    await there.begin(BUCKET, "cat", lease=LEASE, alone=True)


async def test_a_body_may_arrive_beside_others_and_wait_only_in_the_end(state: StateStore) -> None:
    slow = await state.begin(BUCKET, "cat", lease=LEASE)
    quick = await state.begin(BUCKET, "cat", lease=LEASE, alone=True)

    with pytest.raises(Busy):
        await state.restamp(slow, lease=LEASE, alone=True)
    await commit(state, row(quick.version), intent=quick)
    alone = await state.restamp(slow, lease=LEASE, alone=True)

    assert alone.alone
    assert alone.begun == slow.version
    assert alone.version > quick.version


async def test_the_condition_is_looked_at_again_when_the_turn_comes(state: StateStore) -> None:
    condition = Precondition(none_match="*")
    slow = await state.begin(BUCKET, "cat", lease=LEASE, condition=condition)
    quick = await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    await commit(state, row(quick.version), intent=quick)

    with pytest.raises(PreconditionFailed):
        await state.restamp(slow, lease=LEASE, alone=True)


async def test_who_is_alone_stays_so_until_recovery_has_settled_it(
    state: StateStore, wall: Wall
) -> None:
    await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    wall.milliseconds += LEASE + 1

    with pytest.raises(Busy):
        await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    [claimed] = await state.claim_expired_intents(lease=LEASE, limit=10)
    assert claimed.alone
    await state.drop_intent(claimed)

    await state.begin(BUCKET, "cat", lease=LEASE, alone=True)


async def test_overwritten_bytes_are_no_discard(state: StateStore) -> None:
    old = await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    await commit(state, row(old.version), intent=old, overwrote=True)
    new = await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    written = row(new.version)

    await commit(state, written, intent=new, overwrote=True)

    assert await state.discards(older_than=-1, limit=10) == []


async def test_a_delete_in_turn_ends_with_its_tombstone(state: StateStore) -> None:
    put = await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    await commit(state, row(put.version), intent=put)
    intent = await state.begin(BUCKET, "cat", lease=LEASE, alone=True, deletes=True)
    assert intent.deletes

    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "1", intent=intent)

    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")
    assert await state.discards(older_than=-1, limit=10) == []
    assert not await state.is_changing(BUCKET, "cat")


async def test_a_delete_of_nothing_ends_its_turn_too(state: StateStore) -> None:
    intent = await state.begin(BUCKET, "cat", lease=LEASE, alone=True, deletes=True)

    assert await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "1", intent=intent) is None

    assert not await state.is_changing(BUCKET, "cat")


async def test_a_delete_that_lost_its_lease_buries_nothing(state: StateStore, wall: Wall) -> None:
    put = await state.begin(BUCKET, "cat", lease=LEASE, alone=True)
    await commit(state, row(put.version), intent=put)
    intent = await state.begin(BUCKET, "cat", lease=LEASE, alone=True, deletes=True)
    wall.milliseconds += LEASE + 1
    await state.claim_expired_intents(lease=LEASE, limit=10)

    with pytest.raises(Unavailable):
        await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "1", intent=intent)

    assert (await state.find(BUCKET, "cat")).version == put.version
