"""MongoDB: what processes do step by step beside each other, and what one leaves that is killed.

No transaction holds several documents together there, so each order of steps is tried.
"""

from typing import Final

import pytest

from backends.errors import BucketNotFound, NotEmpty, NotFound
from backends.model import Part, Upload
from backends.state.protocol import StateStore
from tests.contracts.mongo_steps import (
    MOST_STEPS,
    Steps,
    Work,
    beside,
    killed,
    outcome,
    run_to_stop,
    stepped,
    stored,
    until_stop,
)
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    Processes,
    commit,
    make_bucket,
    put,
    row,
)

PART: Final = Part(1, 5, "etag", NOON, "token of the part")
pytestmark = pytest.mark.parametrize("processes", ["mongo"], indirect=True)


def committing(bucket: str) -> Work[object]:
    """Promise and write a key of the bucket."""

    async def write(state: StateStore) -> object:
        intent = await state.begin(bucket, "cat", lease=LEASE)
        return (await commit(state, row(intent.version, bucket=bucket), intent=intent)).won

    return write


def removing(bucket: str) -> Work[object]:
    return lambda state: state.delete_bucket(bucket)


async def require_agreement(
    state: StateStore, name: str, committed: object, removed: object
) -> None:
    """Either the object is in the bucket, or both are gone, even for a bucket of the same name."""
    if committed is True:
        assert removed is NotEmpty
        assert (await state.find(name, "cat")).key == "cat"
        return
    assert (committed, removed) == (BucketNotFound, [])
    with pytest.raises(BucketNotFound):
        await state.find(name, "cat")
    await make_bucket(state, name)
    assert await state.page(name, prefix="", after="", limit=10) == []
    assert await state.delete_bucket(name) == []


async def test_a_bucket_that_goes_at_any_step_of_a_commit_takes_the_row_along(
    processes: Processes, state: StateStore
) -> None:
    seen = []
    for stop in range(MOST_STEPS):
        name = (await make_bucket(state, f"bucket-{stop}")).name
        committed, removed, more = await beside(
            processes, stop, committing(name), state.delete_bucket(name)
        )
        await require_agreement(state, name, committed, removed)
        seen.append(committed)
        if not more:
            break

    assert seen[0] is BucketNotFound
    assert seen[-1] is True
    live = {one["_id"] for one in await stored(processes, "keys") if "live" in one}
    assert live == {f"bucket-{stop}/cat" for stop, ended in enumerate(seen) if ended is True}


async def test_a_commit_at_any_step_of_a_removal_keeps_the_bucket(
    processes: Processes, state: StateStore
) -> None:
    seen = []
    for stop in range(MOST_STEPS):
        name = (await make_bucket(state, f"bucket-{stop}")).name
        removed, committed, more = await beside(
            processes, stop, removing(name), committing(name)(state)
        )
        await require_agreement(state, name, committed, removed)
        seen.append(committed)
        if not more:
            break

    assert (seen[0], seen[-1]) == (True, BucketNotFound)


async def test_a_commit_and_a_removal_agree_where_both_pause(
    processes: Processes, state: StateStore
) -> None:
    """Each stops once, before any step; the commit goes on first."""
    for removal_stop in range(1, MOST_STEPS):
        paused = False
        for commit_stop in range(3, MOST_STEPS):  # before that it promises
            name = (await make_bucket(state, f"bucket-{removal_stop}-{commit_stop}")).name
            both = await pausing(processes, state, name, Steps(commit_stop), Steps(removal_stop))
            paused = paused or both[1]
            if not both[0]:
                break
        if not paused:
            return
    raise AssertionError("the removal has no end")


async def pausing(
    processes: Processes, state: StateStore, name: str, first: Steps, second: Steps
) -> tuple[bool, bool]:
    """Whether a commit and a removal were stopped, both of which agreed in the end."""
    folder, wall = processes.folder, processes.wall
    async with stepped(folder, wall, first) as one, stepped(folder, wall, second) as two:
        writing = await run_to_stop(first, outcome(committing(name)(one)))
        going = await run_to_stop(second, outcome(two.delete_bucket(name)))
        stopped = first.stopped.is_set(), second.stopped.is_set()
        first.go_on()
        committed = await writing
        second.go_on()
        await require_agreement(state, name, committed, await going)
        return stopped


async def test_a_commit_killed_before_it_looks_again_leaves_what_nobody_sees_and_a_purge_drops(
    processes: Processes, state: StateStore
) -> None:
    put_in = await step_that_puts_a_row(processes)
    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "DELETE")
    await state.drop_discards(await state.discards(older_than=-1, limit=10))
    steps = Steps(put_in)
    async with stepped(processes.folder, processes.wall, steps) as other:
        task = await run_to_stop(steps, committing(BUCKET)(other))
        assert await state.delete_bucket(BUCKET) == []
        steps.go_on(to=put_in + 1)
        await until_stop(steps, task)
        assert task.cancel()

    assert ["live" in one for one in await stored(processes, "keys")] == [True]
    await make_bucket(state)
    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")
    assert await state.page(BUCKET, prefix="", after="", limit=10) == []
    assert await state.inventory(BUCKET, after="", limit=10) == []
    processes.wall.milliseconds += 1
    await state.purge_tombstones(older_than=0, limit=10)
    assert ["live" in one for one in await stored(processes, "keys")] == [False]
    assert len(await state.discards(older_than=-1, limit=10)) == 1
    assert await stored(processes, "graves") == []
    assert await put(state)


async def step_that_puts_a_row(processes: Processes) -> int:
    steps = Steps()
    async with stepped(processes.folder, processes.wall, steps) as other:
        await committing(BUCKET)(other)
    [found] = [
        number
        for number, call in enumerate(steps.calls)
        if call.verb == "update" and "live" in call.arguments[1]["$set"]
    ]
    return found


async def test_a_removal_killed_at_any_step_leaves_the_bucket_or_its_name(
    processes: Processes, state: StateStore
) -> None:
    seen = set()
    for stop in range(MOST_STEPS):
        name = (await make_bucket(state, f"bucket-{stop}")).name
        begun = Upload(name, "cat", "one", "token", NOON, "main")
        await state.create_upload(begun)
        await state.put_part(name, "cat", "one", PART)
        more = await killed(processes, stop, removing(name))
        kept = await outcome(state.bucket(name)) is not BucketNotFound
        seen.add(kept)
        await require_usable(state, begun, kept=kept)
        if not more:
            break

    assert seen == {True, False}
    assert await state.stale_uploads(older_than=-1, limit=10) == []
    assert await stored(processes, "parts") == []


async def require_usable(state: StateStore, begun: Upload, *, kept: bool) -> None:
    """The bucket is there with its upload, or may be made anew without; then all goes."""
    name = begun.bucket
    await make_bucket(state, name)
    of_bucket = await state.uploads(name, prefix="", after=("", ""), limit=10)
    assert of_bucket == ([begun] if kept else [])
    for left in await state.stale_uploads(older_than=-1, limit=10):
        assert left == begun
        await state.delete_upload(name, left.key, left.name)
    await put(state, "cat", bucket=name)
    await state.bury(name, "cat", "ObjectRemoved:Delete", "DELETE")
    assert await state.delete_bucket(name) == []
