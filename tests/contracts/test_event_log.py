"""What every event log promises: at least once, in order for each object."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.events.protocol import Delivery
from backends.model import Version
from tests.contracts.event_logs import EVENT_LOGS, Running, Start
from tests.contracts.state_stores import put

SECONDS = 20
Deliveries = AsyncIterator[Delivery]


@pytest.fixture(params=EVENT_LOGS)
def start(request: pytest.FixtureRequest) -> Start:
    return EVENT_LOGS[request.param](request)


@pytest.fixture
async def running(start: Start, tmp_path: Path) -> AsyncIterator[Running]:
    async with start(tmp_path) as opened:
        yield opened


async def publish(running: Running, *keys: str) -> list[Version]:
    """Change the objects, one after the other; the versions they have now."""
    return [(await put(running.state, key)).version for key in keys]


async def receive(deliveries: Deliveries, count: int = 1) -> list[Delivery]:
    """The next deliveries, none of them acknowledged."""
    async with asyncio.timeout(SECONDS):
        return [await anext(deliveries) for _ in range(count)]


async def drain(deliveries: Deliveries, count: int) -> list[str]:
    """The keys of the next deliveries, each acknowledged before the next is asked for."""
    keys = []
    for _ in range(count):
        [delivery] = await receive(deliveries)
        await delivery.acknowledge()
        keys.append(delivery.event.key)
    return keys


async def test_a_group_receives_what_was_committed_since_it_first_subscribed(
    running: Running,
) -> None:
    await publish(running, "before")
    await running.carried()
    async with running.log.subscribe("west") as deliveries:
        [version] = await publish(running, "after")

        [delivery] = await receive(deliveries)

    assert (delivery.event.key, delivery.event.version) == ("after", version)
    assert delivery.event.name == "ObjectCreated:Put"


async def test_the_events_of_an_object_come_in_the_order_of_their_commits(
    running: Running,
) -> None:
    async with running.log.subscribe("west") as deliveries:
        written = await publish(running, *["cat"] * 20)

        received = []
        for _ in written:
            [delivery] = await receive(deliveries)
            received.append(delivery.event.version)
            await delivery.acknowledge()

    assert received == written


async def test_events_wait_for_the_earlier_one_of_their_object_and_for_no_other(
    running: Running,
) -> None:
    async with running.log.subscribe("west") as deliveries:
        await publish(running, "cat", "cat", "dog", "fox")

        first, *others = sorted(await receive(deliveries, 3), key=lambda one: one.event.key)
        await first.acknowledge()
        [second] = await receive(deliveries)

    assert first.event.key == second.event.key == "cat"
    assert {delivery.event.key for delivery in others} == {"dog", "fox"}
    assert second.event.version > first.event.version


async def test_a_retry_comes_again_when_it_is_due_and_before_later_ones_of_its_object(
    running: Running,
) -> None:
    now = asyncio.get_running_loop().time
    async with running.log.subscribe("west") as deliveries:
        first, second = await publish(running, "cat", "cat")
        [failed] = await receive(deliveries)
        asked = now()
        await failed.retry_after(running.soon)
        await publish(running, "dog")

        assert await drain(deliveries, 1) == ["dog"]
        [again] = await receive(deliveries)
        waited = now() - asked
        await again.acknowledge()
        [last] = await receive(deliveries)

    assert waited >= running.soon
    assert [again.event.version, last.event.version] == [first, second]


async def test_an_object_that_always_fails_holds_no_other_up(running: Running) -> None:
    async with running.log.subscribe("west") as deliveries:
        await publish(running, "bad", *"abcde")

        done: list[str] = []
        while len(done) < 5:
            [delivery] = await receive(deliveries)
            if delivery.event.key == "bad":
                await delivery.retry_after(0)
                continue
            await delivery.acknowledge()
            done.append(delivery.event.key)

    assert sorted(done) == list("abcde")


async def test_what_was_not_acknowledged_comes_again(running: Running) -> None:
    async with running.log.subscribe("west") as deliveries:
        await publish(running, "a", "b", "c")
        first, second, third = await receive(deliveries, 3)
        await first.acknowledge()
        await third.acknowledge()

    async with running.log.subscribe("west") as deliveries:
        [again] = await receive(deliveries)

    assert again.event == second.event


async def test_what_was_acknowledged_does_not_come_again(running: Running) -> None:
    async with running.log.subscribe("west") as deliveries:
        await publish(running, "a", "b", "c")
        held = await receive(deliveries, 3)
        for delivery in reversed(held):
            await delivery.acknowledge()

    await publish(running, "later")
    async with running.log.subscribe("west") as deliveries:
        assert await drain(deliveries, 1) == ["later"]


async def test_a_process_that_starts_again_goes_on_where_it_was(
    start: Start, tmp_path: Path
) -> None:
    async with start(tmp_path) as running, running.log.subscribe("west") as deliveries:
        await publish(running, "a", "b")
        done = await drain(deliveries, 1)

    async with start(tmp_path) as running, running.log.subscribe("west") as deliveries:
        done += await drain(deliveries, 1)

    assert sorted(done) == ["a", "b"]


async def test_each_group_receives_everything_at_its_own_pace(running: Running) -> None:
    async with running.log.subscribe("west") as west, running.log.subscribe("east") as east:
        await publish(running, "a", "b")

        assert sorted(await drain(west, 2)) == ["a", "b"]
        await publish(running, "c")
        assert sorted(await drain(east, 3)) == ["a", "b", "c"]
        assert await drain(west, 1) == ["c"]


async def test_settling_a_delivery_twice_changes_nothing(running: Running) -> None:
    async with running.log.subscribe("west") as deliveries:
        versions = await publish(running, "a", "a", "b")
        [delivery] = await receive(deliveries)

        await delivery.acknowledge()
        await delivery.acknowledge()
        await delivery.retry_after(0)

        others = []
        for _ in range(2):
            [other] = await receive(deliveries)
            await other.acknowledge()
            others.append(other.event.version)
    assert sorted([delivery.event.version, *others]) == versions


async def test_what_a_group_gives_up_is_kept_with_the_reason_and_comes_no_more(
    running: Running,
) -> None:
    async with running.log.subscribe("west") as deliveries:
        await publish(running, "cat", "cat")
        [first] = await receive(deliveries)
        await first.dead_letter("no such bucket there")
        await first.dead_letter("said twice")
        await first.retry_after(0)
        [second] = await receive(deliveries)

    assert second.event.version > first.event.version
    assert await running.dead() == [("west", first.event, "no such bucket there")]
    async with running.log.subscribe("west") as deliveries:
        [again] = await receive(deliveries)
    assert again.event == second.event


async def test_a_subscription_that_ends_leaves_no_task_and_no_iteration(
    running: Running,
) -> None:
    await publish(running, "early")
    await running.carried()
    before = asyncio.all_tasks()
    async with running.log.subscribe("west") as deliveries:
        waiting = asyncio.create_task(rest_of(deliveries))
        await publish(running, "cat")

    async with asyncio.timeout(SECONDS):
        await waiting
    await running.carried()

    assert asyncio.all_tasks() == before


async def rest_of(deliveries: Deliveries) -> None:
    async for delivery in deliveries:
        await delivery.acknowledge()


@pytest.mark.parametrize("seed", range(3))
async def test_many_workers_see_every_change_and_each_object_in_order(
    running: Running, seed: int
) -> None:
    chance = random.Random(seed)
    keys = [chance.choice("abcdefgh") for _ in range(200)]
    seen: dict[str, list[Version]] = defaultdict(list)
    busy: set[str] = set()
    done = asyncio.Event()

    async def work(deliveries: Deliveries) -> None:
        async for delivery in deliveries:
            event = delivery.event
            assert event.key not in busy
            busy.add(event.key)
            await asyncio.sleep(0)
            busy.remove(event.key)
            if chance.random() < 0.2:
                await delivery.retry_after(0.001)
                continue
            seen[event.key].append(event.version)
            await delivery.acknowledge()
            if sum(map(len, seen.values())) == len(keys):
                done.set()

    async with (
        asyncio.timeout(SECONDS),
        asyncio.TaskGroup() as group,
        running.log.subscribe("west") as deliveries,
    ):
        for _ in range(8):
            group.create_task(work(deliveries))
        written = await publish(running, *keys)
        await done.wait()

    for key in set(keys):
        assert seen[key] == [
            version for version, of in zip(written, keys, strict=True) if of == key
        ]
