"""MongoDB: events and uploads, step by step beside each other and beside who is killed."""

from collections.abc import Coroutine
from typing import Any, Final

import pytest
from pymongo import MongoClient

from backends.errors import NotFound, Unavailable, UploadNotFound
from backends.model import Event, Part, Upload
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
)
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    Processes,
    commit,
    mongo_options,
    put,
    row,
)

PART: Final = Part(1, 5, "etag", NOON, "token of the part")
UPLOAD: Final = Upload(BUCKET, "cat", "one", "token", NOON, "main")
pytestmark = pytest.mark.parametrize("processes", ["mongo"], indirect=True)


def putting(key: str) -> Work[object]:
    return lambda state: put(state, key)


async def test_a_commit_whose_answer_was_lost_has_won_when_it_is_repeated(
    processes: Processes, state: StateStore
) -> None:
    await state.subscribe("west")
    for lost in range(MOST_STEPS):
        await state.create_upload(UPLOAD)
        await state.put_part(BUCKET, "cat", "one", PART)
        intent = await state.begin(BUCKET, "cat", lease=LEASE, upload="one")
        written, steps = row(intent.version), Steps(lost=lost)
        async with stepped(processes.folder, processes.wall, steps) as other:
            first = await outcome(commit(other, written, intent=intent, upload="one"))
        again = await commit(state, written, intent=intent, upload="one")

        assert again.won
        assert await state.find(BUCKET, "cat") == written
        found = await reading(state)
        assert [event.version for _, event in found] == [written.version]
        await state.acknowledge("west", found[0][0])
        assert await stored(processes, "parts") == []
        assert await state.unsettled() == 0
        if first is not Unavailable:
            assert lost > 5
            return
    raise AssertionError("a commit has no end")


def reading(state: StateStore) -> Coroutine[Any, Any, list[tuple[int, Event]]]:
    return state.unread("west", after=0, limit=100)


async def test_a_reader_killed_at_any_step_loses_and_doubles_no_event(
    processes: Processes, state: StateStore
) -> None:
    await state.subscribe("west")
    for stop in range(MOST_STEPS):
        written = [(await put(state, key)).version for key in ("b", "a", "b")]
        more = await killed(processes, stop, reading)

        found = await reading(state)

        assert [event.version for _, event in found] == written
        await state.acknowledge("west", found[-1][0])
        assert await reading(state) == []
        assert not any(one.get("events") for one in await stored(processes, "keys"))
        if not more:
            return
    raise AssertionError("reading has no end")


async def test_a_reader_slow_at_any_step_takes_nothing_from_a_quick_one(
    processes: Processes, state: StateStore
) -> None:
    """The quick one reads, is done with it, and writes more; then the slow one goes on."""
    await state.subscribe("west")
    for stop in range(MOST_STEPS):
        written = [(await put(state, key)).version for key in ("b", "a", "b")]

        _, found, more = await beside(processes, stop, reading, read_and_write(state))

        later = await reading(state)
        assert isinstance(found, list)
        assert [event.version for _, event in found[:-1] + later] == [*written, found[-1]]
        await state.acknowledge("west", later[-1][0])
        if not more:
            break
    assert await reading(state) == []
    await state.acknowledge("west", 10**9)
    assert await stored(processes, "outbox") == []


async def read_and_write(state: StateStore) -> list[Any]:
    """Events read and acknowledged, and the version that was written behind them."""
    found: list[Any] = await reading(state)
    await state.acknowledge("west", found[-1][0])
    return [*found, (await put(state, "a")).version]


async def test_numbers_that_came_before_lower_ones_are_not_read_yet(
    processes: Processes, state: StateStore
) -> None:
    await state.subscribe("west")
    first = await put(state, "first")
    late, torn = Steps(before=("outbox", "many")), Steps(before=("outbox", "insert_missing"))
    folder, wall = processes.folder, processes.wall
    async with stepped(folder, wall, late) as reader, stepped(folder, wall, torn) as collector:
        reads = await run_to_stop(late, reading(reader))
        written = [first, await put(state, "second"), await put(state, "third")]
        collects = await run_to_stop(torn, reading(collector))
        assert collects.cancel()
        await store_last_of_batch(processes)
        late.go_on()
        found = await reads
    await state.acknowledge("west", found[-1][0])

    found += await reading(state)

    assert [event.version for _, event in found] == [one.version for one in written]


async def store_last_of_batch(processes: Processes) -> None:
    """As a collector does whose inserts arrive in no order, and that is killed between them."""
    [counter] = await stored(processes, "counters")
    assert len(counter["batch"]) == 2
    options = mongo_options(processes.folder)
    client: MongoClient[dict[str, Any]]
    with MongoClient(options.url) as client:
        client[options.database].get_collection("outbox").insert_one(counter["batch"][-1])


async def test_who_subscribes_at_any_step_of_a_commit_sees_the_row_or_gets_the_event(
    processes: Processes, state: StateStore
) -> None:
    seen = set()
    for stop in range(MOST_STEPS):
        key = f"key-{stop}"
        await state.unsubscribe("west")

        async def subscribe(key: str = key) -> bool:
            await state.subscribe("west")
            return await outcome(state.find(BUCKET, key)) is not NotFound

        _, was_there, more = await beside(processes, stop, putting(key), subscribe())
        told = [event.key for _, event in await reading(state)]
        assert was_there or told == [key]
        assert told in ([], [key])
        seen.add(bool(told))
        if not more:
            break
    assert seen == {True, False}


@pytest.mark.parametrize("ends", ["aborts", "completes"])
async def test_a_part_that_comes_while_its_upload_ends_leaves_nothing(
    processes: Processes, state: StateStore, ends: str
) -> None:
    seen = []

    async def end() -> None:
        if ends == "aborts":
            await state.delete_upload(BUCKET, "cat", "one")
            return
        intent = await state.begin(BUCKET, "cat", lease=LEASE, upload="one")
        await commit(state, row(intent.version), intent=intent, upload="one")

    for stop in range(MOST_STEPS):
        await state.create_upload(UPLOAD)
        sent, _, more = await beside(
            processes, stop, lambda other: other.put_part(BUCKET, "cat", "one", PART), end()
        )
        seen.append(sent)
        assert await stored(processes, "parts") == []
        if not more:
            break
    assert (seen[0], seen[-1]) == (UploadNotFound, None)
    assert set(seen) == {UploadNotFound, None}


async def test_an_upload_ended_halfway_is_swept(processes: Processes, state: StateStore) -> None:
    for stop in range(MOST_STEPS):
        await state.create_upload(UPLOAD)
        await state.put_part(BUCKET, "cat", "one", PART)
        more = await killed(
            processes, stop, lambda other: other.delete_upload(BUCKET, "cat", "one")
        )
        for left in await state.stale_uploads(older_than=-1, limit=10):
            await state.delete_upload(left.bucket, left.key, left.name)
        assert await stored(processes, "parts") == []
        assert await stored(processes, "keys") == []
        if not more:
            return
    raise AssertionError("an upload does not end")
