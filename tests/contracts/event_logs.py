"""Event logs under test: a new one adds a line to EVENT_LOGS and runs the whole suite."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from backends.events.embedded import EmbeddedLog
from backends.events.kafka import KafkaLog, KafkaOptions, KafkaPublisher
from backends.events.protocol import EventLog
from backends.events.pulsar import PulsarLog, PulsarOptions, PulsarPublisher
from backends.events.relay import Publisher, Relay
from backends.model import Event
from backends.state.protocol import StateStore
from backends.state.sqlite import SQLiteState
from tests.contracts.state_stores import make_bucket
from tests.events import kafka_topics, pulsar_topics
from tests.services.brokers import Broker

POLL: Final = 0.01
SECONDS: Final = 90


class DeadLetter(NamedTuple):
    """What a group gave up on."""

    group: str
    event: Event
    reason: str


async def _at_once() -> None:
    """The log reads the outbox itself."""


@dataclass
class Running:
    """A log, and the state whose commits it carries.

    `carried` returns when all that was committed is where groups read it, `dead` tells what was
    given up. `soon` are seconds in which an event is sure to arrive.
    """

    log: EventLog
    state: StateStore
    dead: Callable[[], Awaitable[list[DeadLetter]]]
    carried: Callable[[], Awaitable[None]] = _at_once
    soon: float = 0.05


Start = Callable[[Path], AbstractAsyncContextManager[Running]]


def embedded(_: pytest.FixtureRequest) -> Start:
    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Running]:
        parked: list[DeadLetter] = []

        async def park(group: str, event: Event, reason: str) -> None:
            parked.append(DeadLetter(group, event, reason))

        async def dead() -> list[DeadLetter]:
            return parked

        async with opened(folder) as state:
            yield Running(EmbeddedLog(state, poll=POLL, park=park), state, dead)

    return start


def over_kafka(request: pytest.FixtureRequest) -> Start:
    broker: Broker = request.getfixturevalue("kafka")

    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Running]:
        options = KafkaOptions((broker.address,), topic_of(folder), partitions=3)

        async def dead() -> list[DeadLetter]:
            return [DeadLetter(*one) for one in await kafka_topics.dead_events(options)]

        async with (
            opened(folder) as state,
            relayed(state, KafkaPublisher(options)) as carried,
        ):
            yield Running(KafkaLog(options), state, dead, carried, soon=2)

    return start


def over_pulsar(request: pytest.FixtureRequest) -> Start:
    broker: Broker = request.getfixturevalue("pulsar")

    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Running]:
        topic = f"persistent://public/default/{topic_of(folder)}"
        options = PulsarOptions(f"pulsar://{broker.address}", topic)

        async def dead() -> list[DeadLetter]:
            return [DeadLetter(*one) for one in await pulsar_topics.dead_events(options)]

        async with (
            opened(folder) as state,
            relayed(state, PulsarPublisher(options)) as carried,
        ):
            yield Running(PulsarLog(options), state, dead, carried, soon=2)

    return start


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[StateStore]:
    """A state that has the bucket."""
    state = SQLiteState.open(folder / "state.db", site="here", durable=False)
    await make_bucket(state)
    yield state
    await state.close()


@asynccontextmanager
async def relayed(
    state: StateStore, publisher: Publisher, *, seconds: float = SECONDS
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Relay while the block runs; what it gives waits until all is relayed, for so long at most."""
    relay = Relay(state, publisher, poll=POLL)
    await relay.subscribe()

    async def carried() -> None:
        async with asyncio.timeout(seconds):
            while await state.unread("relay", after=0, limit=1):
                await asyncio.sleep(POLL)

    running = asyncio.create_task(relay.run())
    try:
        yield carried
    finally:
        running.cancel()
        await asyncio.wait([running])


def topic_of(folder: Path) -> str:
    """A topic of the folder's own, the same when it is opened again."""
    return f"events-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


EVENT_LOGS: Final[Mapping[str, Callable[[pytest.FixtureRequest], Start]]] = {
    "embedded": embedded,
    "kafka": over_kafka,
    "pulsar": over_pulsar,
}
