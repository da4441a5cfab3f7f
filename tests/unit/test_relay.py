"""The relay: in order, none skipped, one at a time, whatever the broker does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.errors import AccessDenied, BackendError, Unavailable
from backends.events.relay import Relay
from backends.model import Event
from backends.state.sqlite import SQLiteState
from tests.contracts.state_stores import NOON, Wall, make_bucket, put

SECONDS = 20
LEASE = 3000


class Broker:
    """Keeps what is published; fails, or takes for ever, where it is told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pages: list[int] = []
        self.error: BackendError | None = None
        self.hangs = False
        self.closed = 0
        self.takes_before_error = 0
        self.most = 1000

    async def publish(self, events: Sequence[Event]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if len(events) > self.most:
            raise Unavailable("too many at once")
        if self.error:
            self.events += events[: self.takes_before_error]
            raise self.error
        self.events += events
        self.pages.append(len(events))

    async def close(self) -> None:
        self.closed += 1

    @property
    def keys(self) -> str:
        return "".join(event.key for event in self.events)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def state(tmp_path: Path, wall: Wall) -> AsyncIterator[SQLiteState]:
    opened = SQLiteState.open(tmp_path / "state.db", site="here", durable=False, now=wall)
    await make_bucket(opened)
    yield opened
    await opened.close()


async def relay_of(
    state: SQLiteState, broker: Broker, wall: Wall, *, page: int = 100, lease: int = LEASE
) -> Relay:
    relay = Relay(state, broker, poll=0.01, page=page, lease=lease, now=wall)
    await relay.subscribe()
    return relay


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def publish(state: SQLiteState, keys: str) -> None:
    for key in keys:
        await put(state, key)


async def empty(state: SQLiteState) -> bool:
    return not await state.unread("relay", after=0, limit=1)


async def drained(state: SQLiteState) -> None:
    async with asyncio.timeout(SECONDS):
        while not await empty(state):
            await asyncio.sleep(0.01)


async def failed(relay: Relay) -> None:
    """Until the relay has met an error."""
    async with asyncio.timeout(SECONDS):
        while not relay.figures.error:
            await asyncio.sleep(0.01)


async def rested(relay: Relay) -> None:
    """Until the relay knows that nothing is left to do."""
    async with asyncio.timeout(SECONDS):
        while relay.figures.error or relay.figures.oldest is not None:
            await asyncio.sleep(0.01)


async def test_events_reach_the_broker_in_order_and_leave_the_outbox(
    state: SQLiteState, broker: Broker, wall: Wall
) -> None:
    relay = await relay_of(state, broker, wall, page=4)
    await publish(state, "abcabcabca")

    async with running(relay):
        await drained(state)
        await rested(relay)

    assert broker.keys == "abcabcabca"
    assert broker.pages == [4, 4, 2]
    assert relay.figures.published == 10


async def test_nothing_is_skipped_while_the_broker_is_away(
    state: SQLiteState, broker: Broker, wall: Wall
) -> None:
    broker.error = Unavailable("the broker is away")
    relay = await relay_of(state, broker, wall)

    async with running(relay):
        await publish(state, "abc")
        await failed(relay)
        wall.milliseconds += 700
        assert relay.figures.error == "the broker is away"
        assert relay.figures.behind(NOON + 1000) == 1000
        await publish(state, "de")
        broker.error = None
        await drained(state)
        await rested(relay)

    assert broker.keys == "abcde"
    assert (relay.figures.error, relay.figures.behind(NOON + 1000)) == ("", 0)


async def test_a_page_that_failed_half_way_is_sent_again_whole(
    state: SQLiteState, broker: Broker, wall: Wall
) -> None:
    broker.error, broker.takes_before_error = AccessDenied("no more"), 2
    relay = await relay_of(state, broker, wall)
    await publish(state, "abc")

    async with running(relay):
        await failed(relay)
        broker.error = None
        await drained(state)

    assert broker.keys.endswith("abc")
    assert set(broker.keys[:-3]) == {"a", "b"}


async def test_a_page_that_takes_longer_than_the_lease_allows_is_given_up(
    state: SQLiteState, broker: Broker, wall: Wall
) -> None:
    broker.hangs = True
    relay = await relay_of(state, broker, wall, lease=100)
    await publish(state, "a")

    async with running(relay):
        await failed(relay)
        broker.hangs = False
        await drained(state)

    assert broker.keys == "a"


async def test_a_broker_that_cannot_take_a_page_gets_smaller_ones(
    state: SQLiteState, broker: Broker, wall: Wall
) -> None:
    broker.most = 3
    relay = await relay_of(state, broker, wall, page=40)
    await publish(state, "abcdefghij")

    async with running(relay):
        await drained(state)

    assert broker.keys == "abcdefghij"


async def test_one_relay_works_at_a_time_and_the_next_follows_at_once(
    state: SQLiteState, broker: Broker, wall: Wall
) -> None:
    other = Broker()
    first = await relay_of(state, broker, wall)
    second = await relay_of(state, other, wall, lease=30)
    async with running(first):
        await publish(state, "a")
        await drained(state)
        async with running(second):
            await publish(state, "b")
            await drained(state)
            assert (broker.keys, other.keys) == ("ab", "")

    async with running(second):
        await publish(state, "c")
        await drained(state)

    assert (broker.keys, other.keys) == ("ab", "c")
    assert broker.closed == 1


async def test_a_relay_without_the_lease_knows_how_old_the_outbox_is(
    state: SQLiteState, broker: Broker, wall: Wall
) -> None:
    assert await state.acquire("relay", "a process that died", lease=60_000)
    relay = await relay_of(state, broker, wall, lease=30)
    await publish(state, "a")

    async with running(relay), asyncio.timeout(SECONDS):
        while relay.figures.oldest is None:
            await asyncio.sleep(0.01)
        assert (relay.figures.leading, relay.figures.behind(NOON + 500)) == (False, 500)
        wall.milliseconds += 60_000
        await drained(state)

    assert broker.keys == "a"
