"""Promised writes in every state store: leases, fencing, and what is left to drop."""

import pytest

from backends.errors import NotFound, PreconditionFailed, Unavailable, UploadNotFound
from backends.model import Discard, Intent, Precondition
from backends.state.protocol import StateStore
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


async def begin(state: StateStore, key: str = "cat") -> Intent:
    return await state.begin(BUCKET, key, lease=LEASE)


async def claimed(state: StateStore) -> list[Intent]:
    return await state.claim_expired_intents(lease=LEASE, limit=100)


async def discarded(state: StateStore, *, older_than: int = -1) -> list[str]:
    return [one.locator for one in await state.discards(older_than=older_than, limit=100)]


async def test_a_promise_names_its_version_and_when_it_ends(state: StateStore) -> None:
    condition = Precondition(none_match="*")

    intent = await state.begin(BUCKET, "cat", lease=LEASE, condition=condition)

    version = intent.version
    assert intent == Intent(
        BUCKET, "cat", version, NOON + LEASE, condition=condition, begun=version
    )
    assert (intent.version.milliseconds, intent.version.site) == (NOON, "here")


async def test_a_promise_is_not_an_object(state: StateStore) -> None:
    await begin(state)

    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")
    assert await state.page(BUCKET, prefix="", after="", limit=10) == []


async def test_no_completion_is_promised_of_an_upload_that_is_not_there(state: StateStore) -> None:
    with pytest.raises(UploadNotFound):
        await state.begin(BUCKET, "cat", lease=LEASE, upload="never begun")


async def test_a_commit_ends_its_intent(state: StateStore, wall: Wall) -> None:
    await put(state)
    wall.milliseconds += 2 * LEASE

    assert await claimed(state) == []


async def test_a_lease_that_has_not_run_out_is_nobodys_to_claim(
    state: StateStore, wall: Wall
) -> None:
    intent = await begin(state)
    wall.milliseconds += LEASE - 1

    assert await claimed(state) == []
    wall.milliseconds += 1
    assert [one.version for one in await claimed(state)] == [intent.version]


async def test_expired_intents_are_claimed_oldest_first_and_once(processes: Processes) -> None:
    state, other = await processes.open(), await processes.open()
    await make_bucket(state)
    for key in ("first", "second", "third"):
        await begin(state, key)
        processes.wall.milliseconds += 1
    processes.wall.milliseconds += LEASE

    some = await state.claim_expired_intents(lease=LEASE, limit=2)
    rest = await other.claim_expired_intents(lease=LEASE, limit=2)

    assert [intent.key for intent in some + rest] == ["first", "second", "third"]
    assert {intent.expires for intent in some} == {processes.wall() + LEASE}
    assert await claimed(state) == []


async def test_a_claim_that_ran_out_is_claimed_again(state: StateStore, wall: Wall) -> None:
    await begin(state)
    wall.milliseconds += LEASE
    [first] = await claimed(state)
    wall.milliseconds += LEASE

    [second] = await claimed(state)

    assert second.version == first.version
    with pytest.raises(Unavailable):
        await commit(state, row(first.version), intent=first)


async def test_an_expired_intent_that_nobody_claimed_still_commits(
    state: StateStore, wall: Wall
) -> None:
    intent = await begin(state)
    wall.milliseconds += 2 * LEASE

    assert (await commit(state, row(intent.version), intent=intent)).won


async def test_a_writer_whose_intent_was_claimed_neither_commits_nor_holds_on(
    state: StateStore, wall: Wall
) -> None:
    intent = await begin(state)
    wall.milliseconds += LEASE
    [taken] = await claimed(state)

    with pytest.raises(Unavailable):
        await commit(state, row(intent.version), intent=intent)
    with pytest.raises(Unavailable):
        await state.renew(intent, lease=LEASE)
    with pytest.raises(Unavailable):
        await state.restamp(intent, lease=LEASE)
    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")
    assert (await commit(state, row(taken.version), intent=taken)).won


async def test_an_intent_that_was_dropped_cannot_commit_and_dropping_again_is_no_error(
    state: StateStore,
) -> None:
    intent = await begin(state)

    for _ in range(2):
        await state.drop_intent(intent)

    with pytest.raises(Unavailable):
        await commit(state, row(intent.version), intent=intent)


async def test_a_renewed_intent_lives_longer_and_the_old_one_is_void(
    state: StateStore, wall: Wall
) -> None:
    intent = await begin(state)
    wall.milliseconds += LEASE - 1
    renewed = await state.renew(intent, lease=LEASE)
    wall.milliseconds += LEASE - 1

    assert renewed.version == intent.version
    assert renewed.expires == intent.expires + LEASE - 1
    assert await claimed(state) == []
    with pytest.raises(Unavailable):
        await commit(state, row(intent.version), intent=intent)
    assert (await commit(state, row(renewed.version), intent=renewed)).won


async def test_a_restamped_promise_is_above_what_was_written_meanwhile(
    state: StateStore, wall: Wall
) -> None:
    condition = Precondition(match="etag")
    await put(state)
    slow = await state.begin(BUCKET, "cat", lease=LEASE, condition=condition)
    await put(state)

    last = await state.restamp(slow, lease=LEASE)

    assert last.condition == condition
    with pytest.raises(Unavailable):
        await commit(state, row(slow.version), intent=slow)
    assert (await commit(state, row(last.version), intent=last)).won
    wall.milliseconds += 2 * LEASE
    assert await claimed(state) == []


async def test_a_commit_that_fails_or_does_not_win_leaves_its_intent(
    state: StateStore, wall: Wall
) -> None:
    late = await begin(state)
    refused = await begin(state)
    await put(state)

    assert not (await commit(state, row(late.version), intent=late)).won
    with pytest.raises(PreconditionFailed):
        await commit(
            state,
            row(refused.version),
            intent=refused,
            condition=Precondition(match="other"),
        )

    wall.milliseconds += LEASE
    assert {one.version for one in await claimed(state)} == {late.version, refused.version}


async def test_replaced_and_deleted_bytes_are_discards_until_they_are_dropped(
    state: StateStore, wall: Wall
) -> None:
    await commit(state, row(version(1), locator="first"))
    await commit(state, row(version(2), locator="second"))
    wall.milliseconds += 10
    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "DELETE")

    assert await discarded(state) == ["first", "second"]
    assert await discarded(state, older_than=5) == ["first"]
    assert len(await state.discards(older_than=-1, limit=1)) == 1

    await state.drop_discards([Discard(BUCKET, "cat", "first")])
    assert await discarded(state) == ["second"]
    await state.drop_discards(await state.discards(older_than=-1, limit=10))
    await state.drop_discards([])
    assert await discarded(state) == []


async def test_bytes_that_a_row_still_names_are_never_a_discard(state: StateStore) -> None:
    await commit(state, row(version(1), locator="in place"))
    await commit(state, row(version(2), locator="in place"))

    assert await discarded(state) == []


async def test_bytes_of_a_commit_that_did_not_win_are_the_writers_to_drop(
    state: StateStore,
) -> None:
    await commit(state, row(version(2)))
    await commit(state, row(version(1)))

    assert await discarded(state) == []
