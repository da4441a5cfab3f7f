"""What only Kafka can do wrong: brokers that die, rebalances, topics, rights."""

import asyncio
import sys
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
import trustme
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs

from backends.errors import AccessDenied, NotFound, Unavailable
from backends.events import records
from backends.events.kafka import KafkaLog, KafkaOptions, KafkaPublisher, topics
from backends.events.protocol import Delivery
from backends.model import Event, Version
from backends.state.sqlite import SQLiteState
from tests.contracts.event_logs import relayed
from tests.contracts.state_stores import make_bucket, put
from tests.events.kafka_topics import events_in, headers_of, messages
from tests.events.runs import by_key, drain, event, holds, receive, run_of, without_repeats
from tests.services.brokers import KAFKA_PASSWORD, KAFKA_STRANGER, KAFKA_USER, Broker
from tests.services.process import free_port

SECONDS = 60
HOLDER = Path(__file__).with_name("kafka_holder.py")
Deliveries = AsyncIterator[Delivery]


@pytest.fixture
def options(kafka: Broker) -> KafkaOptions:
    """Over a topic of the test's own."""
    return KafkaOptions(
        (kafka.address,), f"events-{uuid.uuid4().hex[:12]}", partitions=3, session_seconds=2
    )


@pytest.fixture
def secured(kafka: Broker, options: KafkaOptions) -> KafkaOptions:
    """The same topic by the listener that asks for a name, over TLS."""
    return replace(
        options,
        servers=(kafka.tls_address,),
        user=KAFKA_USER,
        password=KAFKA_PASSWORD,
        ca_file=str(kafka.ca_file),
    )


@asynccontextmanager
async def publishing(options: KafkaOptions) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(options)
    try:
        yield publisher
    finally:
        await publisher.close()


async def publish(options: KafkaOptions, events: Sequence[Event]) -> None:
    async with publishing(options) as publisher:
        await publisher.publish(events)


async def test_an_objects_events_are_in_one_partition_and_in_order(options: KafkaOptions) -> None:
    events = run_of(*"abcdefgh" * 20)

    await publish(options, events)

    found = await messages(options, options.topic)
    assert by_key([records.decode(one.value) for one in found]) == by_key(events)
    assert len({(one.key, one.partition) for one in found}) == 8
    assert len({one.partition for one in found}) > 1


async def test_a_missing_topic_that_may_not_be_made_is_named_with_the_command(
    options: KafkaOptions,
) -> None:
    forbidden = replace(options, create_topics=False, replicas=2)
    with pytest.raises(NotFound) as told:
        await KafkaPublisher(forbidden).publish(run_of("a"))

    assert f"there is no topic {options.topic}" in str(told.value)
    assert f"--create --topic {options.topic} --partitions 3 --replication-factor 2" in str(
        told.value
    )


async def test_a_topic_of_fewer_partitions_is_used_as_it_is_and_that_is_said(
    options: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "log", structlog.get_logger())  # one that nobody used before
    await KafkaLog(options).check()

    with capture_logs() as told:
        await publish(replace(options, partitions=12), run_of("a", "b"))

    assert any("fewer partitions" in one["event"] for one in told)
    assert len(await events_in(options)) == 2


async def test_servers_that_are_not_there_are_named_and_the_password_is_not() -> None:
    away = KafkaOptions((f"127.0.0.1:{free_port()}",), user="us", password="hush", timeout=2)
    for trying in (KafkaPublisher(away).check(), KafkaLog(away).check()):
        with pytest.raises(Unavailable) as told:
            await trying
        assert away.servers[0] in str(told.value)
        assert "hush" not in str(told.value)
    assert "hush" not in repr(away)


async def test_events_pass_over_tls_by_who_has_a_name_and_a_password(secured: KafkaOptions) -> None:
    async with KafkaLog(secured).subscribe("west") as deliveries:
        await publish(secured, run_of("a"))

        [delivery] = await receive(deliveries, 1)
        await delivery.acknowledge()

    assert delivery.event == event("a")


@pytest.mark.parametrize(
    ("user", "password"), [(KAFKA_USER, "a wrong one"), (KAFKA_STRANGER, KAFKA_PASSWORD)]
)
async def test_who_may_not_is_told_so_without_the_password(
    secured: KafkaOptions, options: KafkaOptions, user: str, password: str
) -> None:
    await KafkaLog(options).check()
    stranger = replace(secured, user=user, password=password)
    log = KafkaLog(stranger)
    for trying in (KafkaPublisher(stranger).publish(run_of("a")), log.check()):
        with pytest.raises(AccessDenied) as told:
            await trying
        assert stranger.servers[0] in str(told.value)
        assert password not in str(told.value)
    with pytest.raises(AccessDenied):
        async with log.subscribe("west"):
            pass


async def test_a_server_of_another_authority_is_not_trusted(
    secured: KafkaOptions, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(AccessDenied, match="certificate verify failed"):
        await KafkaLog(replace(secured, ca_file=str(tmp_path / "other.pem"))).check()


async def test_what_is_no_event_is_parked_with_the_reason_and_holds_nothing_up(
    options: KafkaOptions,
) -> None:
    async with KafkaLog(options).subscribe("west") as deliveries:
        producer = AIOKafkaProducer(bootstrap_servers=list(options.servers))
        await producer.start()
        await producer.send_and_wait(options.topic, b"no event", key=b"k", partition=0)
        await producer.send_and_wait(options.topic, records.encode(event("a")), partition=0)
        await producer.send_and_wait(options.topic, b"{}", partition=0)
        await producer.stop()
        [delivery] = await receive(deliveries, 1)
        await delivery.acknowledge()
        async with asyncio.timeout(SECONDS):
            while len(dead := await messages(options, options.dead_letters)) < 2:
                await asyncio.sleep(0.05)

    assert [(one.key, one.value) for one in dead] == [(b"k", b"no event"), (None, b"{}")]
    told = headers_of(dead[0])
    assert (told["ccs-group"], told["ccs-origin"]) == ("west", f"{options.topic}/0/0")
    assert "not a record of an event" in told["ccs-reason"]
    async with KafkaLog(options).subscribe("west") as deliveries:
        await publish(options, run_of("later"))
        [delivery] = await receive(deliveries, 1)
    assert delivery.event.key == "later"
    assert len(await messages(options, options.dead_letters)) == 2


async def test_no_more_events_are_held_than_look_ahead_allows(options: KafkaOptions) -> None:
    narrow = replace(options, partitions=1, look_ahead=5)
    events = run_of(*(f"key {number}" for number in range(200)))
    async with KafkaLog(narrow).subscribe("west") as deliveries:
        await publish(narrow, events)
        held = await receive(deliveries, 5)
        more = asyncio.ensure_future(anext(deliveries))
        for delivery in held[1:]:
            await delivery.acknowledge()
        done, _ = await asyncio.wait([more], timeout=0.5)
        assert not done

        await held[0].acknowledge()
        seen = [delivery.event for delivery in held]
        async with asyncio.timeout(SECONDS):
            delivery = await more
            while True:
                seen.append(delivery.event)
                await delivery.acknowledge()
                if len(seen) == len(events):
                    break
                delivery = await anext(deliveries)

    assert seen == events


async def test_a_group_that_joins_takes_over_only_what_is_not_being_worked_on(
    options: KafkaOptions,
) -> None:
    """A second consumer takes partitions from the first, which has deliveries out."""
    events = run_of(*(f"key {number}" for number in range(30)))
    first_did: list[Event] = []
    second_did: list[Event] = []
    log = KafkaLog(options)
    async with log.subscribe("west") as first:
        await publish(options, events)
        held = await receive(first, 10)
        joining = asyncio.create_task(joined(log, second_did))
        await asyncio.sleep(0.5)  # the rebalance has begun and waits for what is out
        for delivery in held:
            first_did.append(delivery.event)
            await delivery.acknowledge()
        working = asyncio.create_task(drain(first, first_did))
        async with asyncio.timeout(SECONDS):
            while len({*first_did} | {*second_did}) < len(events) or not second_did:
                await asyncio.sleep(0.02)
        joining.cancel()
        await asyncio.wait([joining])
    await working

    assert sorted(by_key(first_did + second_did)) == sorted(by_key(events))
    assert len(first_did) + len(second_did) == len(events)


async def joined(log: KafkaLog, did: list[Event]) -> None:
    async with log.subscribe("west") as deliveries:
        await drain(deliveries, did)


async def test_work_that_outlasts_a_rebalance_is_not_lost_and_goes_on_where_it_stays(
    options: KafkaOptions,
) -> None:
    hasty = replace(options, rebalance_wait=0.2)
    events = run_of(*(f"key {number}" for number in range(30)))
    did: list[Event] = []
    log = KafkaLog(hasty)
    async with log.subscribe("west") as first:
        await publish(options, events)
        held = await receive(first, 30)
        joining = asyncio.create_task(joined(log, did))
        async with asyncio.timeout(SECONDS):
            while not did:
                await asyncio.sleep(0.02)
        theirs = {*did}
        for delivery in held:
            await delivery.acknowledge()
        joining.cancel()
        await asyncio.wait([joining])
        await publish(options, run_of("last"))
        [delivery] = await receive(first, 1)
        while delivery.event.key != "last":
            did.append(delivery.event)
            await delivery.acknowledge()
            [delivery] = await receive(first, 1)

    assert theirs < {*events}
    assert len(did) == len({*did})


async def test_what_a_killed_consumer_held_goes_to_the_next_of_its_group(
    options: KafkaOptions,
) -> None:
    events = run_of(*"abcdefghij" * 3)
    did: list[Event] = []
    log = KafkaLog(options)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.events.kafka_holder", options.servers[0], options.topic),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            await said(process, b"ready")
            async with log.subscribe("west") as deliveries:
                working = asyncio.create_task(drain(deliveries, did))
                await publish(options, events)
                await said(process, b"holds")
                process.kill()
                await holds(did, events)
            await working
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

    assert without_repeats(did) == by_key(events)


async def said(process: asyncio.subprocess.Process, word: bytes) -> None:
    """Until the process has told a line that begins so."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(word):
            return
    raise AssertionError(f"it ended without {word!r}")


@pytest.fixture
def restarted(kafka: Broker) -> Iterator[Broker]:
    """The broker; whatever happens to it, it runs afterwards."""
    yield kafka
    kafka.kill()
    kafka.start()


async def test_a_killed_broker_loses_nothing_and_keeps_the_order(
    restarted: Broker, options: KafkaOptions, tmp_path: Path
) -> None:
    state = SQLiteState.open(tmp_path / "state.db", site="here", durable=False)
    await make_bucket(state)
    patient = replace(options, timeout=3)
    did: list[Event] = []
    committed: list[tuple[str, Version]] = []
    log = KafkaLog(patient)
    async with log.subscribe("west") as deliveries, relayed(state, KafkaPublisher(patient)) as gone:
        working = asyncio.create_task(drain(deliveries, did))
        for number in range(600):
            written = await put(state, f"key {number % 7}")
            committed.append((written.key, written.version))
            if number == 200:
                await asyncio.to_thread(restarted.kill)
            if number == 400:
                await asyncio.to_thread(restarted.start)
        await gone()
        async with asyncio.timeout(SECONDS):
            while len({*did}) < len(committed):
                await asyncio.sleep(0.05)
        published = await events_in(options)
        await asyncio.to_thread(restarted.kill)
        leaving = asyncio.get_running_loop().time()
    left = asyncio.get_running_loop().time() - leaving
    await working
    await state.close()

    wanted = defaultdict(list)
    for key, version in committed:
        wanted[key].append(version)
    assert without_repeats(did) == wanted
    assert without_repeats(published) == wanted
    assert left < SECONDS / 2
