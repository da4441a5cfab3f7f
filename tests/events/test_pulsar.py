"""What only Pulsar can do wrong: brokers that die, consumers that share objects, addresses."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pulsar.asyncio import Client

from backends.errors import Unavailable
from backends.events.pulsar import PulsarLog, PulsarOptions, PulsarPublisher
from backends.model import Event, Version
from backends.state.sqlite import SQLiteState
from tests.contracts.event_logs import relayed
from tests.contracts.state_stores import make_bucket, put
from tests.events.pulsar_topics import events_in, messages
from tests.events.runs import by_key, drain, event, holds, receive, run_of, without_repeats
from tests.services.brokers import Broker
from tests.services.process import free_port

SECONDS = 150
TOO_BIG = 6 * 1024 * 1024


@pytest.fixture
def options(pulsar: Broker) -> PulsarOptions:
    """Over a topic of the test's own."""
    topic = f"persistent://public/default/events-{uuid.uuid4().hex[:12]}"
    return PulsarOptions(f"pulsar://{pulsar.address}", topic)


async def publish(options: PulsarOptions, events: list[Event]) -> None:
    publisher = PulsarPublisher(options)
    await publisher.publish(events)
    await publisher.close()


async def test_consumers_of_a_group_share_the_objects_and_keep_their_order(
    options: PulsarOptions,
) -> None:
    events = run_of(*"abcdefghijklmnop" * 10)
    one: list[Event] = []
    other: list[Event] = []
    log = PulsarLog(options)
    async with log.subscribe("west") as first, log.subscribe("west") as second:
        tasks = [asyncio.create_task(drain(*both)) for both in ((first, one), (second, other))]
        await publish(options, events)
        async with asyncio.timeout(SECONDS):
            while len(one) + len(other) < len(events):
                await asyncio.sleep(0.02)
    await asyncio.wait(tasks)

    assert by_key(one) | by_key(other) == by_key(events)
    assert not by_key(one).keys() & by_key(other).keys()
    assert one
    assert other


async def test_what_a_consumer_that_ended_held_goes_to_the_other(options: PulsarOptions) -> None:
    events = run_of(*"abcdefgh" * 5)
    did: list[Event] = []
    log = PulsarLog(options)
    async with log.subscribe("west") as staying:
        async with log.subscribe("west") as leaving:
            await publish(options, events)
            await receive(leaving, 1)
        working = asyncio.create_task(drain(staying, did))
        await holds(did, events)
    await working

    assert without_repeats(did) == by_key(events)


async def test_a_server_that_is_not_there_is_named_and_the_token_is_not() -> None:
    away = PulsarOptions(f"pulsar://127.0.0.1:{free_port()}", token="hush", timeout=1)
    for trying in (PulsarPublisher(away).check(), PulsarLog(away).check()):
        with pytest.raises(Unavailable) as told:
            await trying
        assert away.url in str(told.value)
        assert "hush" not in str(told.value)
    with pytest.raises(Unavailable):
        async with PulsarLog(away).subscribe("west"):
            pass
    assert "hush" not in repr(away)


async def test_what_the_client_gives_up_itself_is_unavailable(options: PulsarOptions) -> None:
    publisher = PulsarPublisher(options)
    await publisher.check()

    with pytest.raises(Unavailable, match="MessageTooBig"):
        await publisher.publish([*run_of("a"), event("b" * TOO_BIG), *run_of("c")])

    await publisher.publish(run_of("d"))
    await publisher.close()


async def test_what_is_no_event_is_parked_with_the_reason_and_holds_nothing_up(
    options: PulsarOptions,
) -> None:
    async with PulsarLog(options).subscribe("west") as deliveries:
        client = Client(options.url)
        producer = await client.create_producer(options.topic)
        await producer.send(b"no event", partition_key="k")
        await client.close()
        await publish(options, run_of("a"))
        [delivery] = await receive(deliveries, 1)
        await delivery.acknowledge()

    assert delivery.event.key == "a"
    [dead] = await messages(options, options.dead_letters)
    assert (dead.partition_key(), dead.data()) == ("k", b"no event")
    assert dead.properties()["ccs-group"] == "west"
    assert "not a record of an event" in dead.properties()["ccs-reason"]


async def test_no_more_events_are_held_than_look_ahead_allows(options: PulsarOptions) -> None:
    narrow = replace(options, look_ahead=5)
    async with PulsarLog(narrow).subscribe("west") as deliveries:
        await publish(narrow, run_of(*"abcdefgh"))
        first, *others = await receive(deliveries, 5)
        more = asyncio.ensure_future(anext(deliveries))
        for delivery in others:
            await delivery.acknowledge()
        done, _ = await asyncio.wait([more], timeout=0.5)
        assert not done

        await first.acknowledge()

        async with asyncio.timeout(SECONDS):
            assert (await more).event.key == "f"


@pytest.fixture
def restarted(pulsar: Broker) -> Iterator[Broker]:
    """The broker; whatever happens to it, it runs afterwards."""
    yield pulsar
    pulsar.kill()
    pulsar.start()


@pytest.mark.timeout(400)  # its client waits up to half a minute before it connects again
async def test_a_killed_broker_loses_nothing_and_keeps_the_order(
    restarted: Broker, options: PulsarOptions, tmp_path: Path
) -> None:
    state = SQLiteState.open(tmp_path / "state.db", site="here", durable=False)
    await make_bucket(state)
    wanted: dict[str, list[Version]] = defaultdict(list)
    did: list[Event] = []
    log = PulsarLog(options)
    async with (
        log.subscribe("west") as deliveries,
        relayed(state, PulsarPublisher(replace(options, timeout=3)), seconds=SECONDS) as carried,
    ):
        working = asyncio.create_task(drain(deliveries, did))
        for number in range(300):
            written = await put(state, f"key {number % 7}")
            wanted[written.key].append(written.version)
            if number == 100:
                await asyncio.to_thread(restarted.kill)
            if number == 200:
                await asyncio.to_thread(restarted.start)
        await carried()
        async with asyncio.timeout(SECONDS):
            while len({*did}) < 300:
                await asyncio.sleep(0.05)
    await working
    await state.close()

    assert without_repeats(did) == wanted
    assert without_repeats(await events_in(options)) == wanted
