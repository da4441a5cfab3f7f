"""What only the embedded log promises: how far it looks ahead, what a failing outbox does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.errors import NotSupported, Unavailable
from backends.events.embedded import EmbeddedLog
from backends.model import Bucket, Event, Facts, Row
from backends.state.sqlite import SQLiteState

SECONDS = 20


class Failing:
    """An outbox that can be out of reach."""

    def __init__(self, state: SQLiteState) -> None:
        self._state = state
        self.fails = False
        self.looks = 0
        self.writes = 0

    async def subscribe(self, group: str) -> None:
        await self._state.subscribe(group)

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        self._answer()
        self.looks += 1
        return await self._state.unread(group, after=after, limit=limit)

    async def acknowledge(self, group: str, sequence: int) -> None:
        self._answer()
        self.writes += 1
        await self._state.acknowledge(group, sequence)

    def _answer(self) -> None:
        if self.fails:
            raise Unavailable("the outbox is out of reach")


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[SQLiteState]:
    opened = SQLiteState.open(tmp_path / "state.db", site="here", durable=False)
    await opened.create_bucket(Bucket("photos", "main", 0))
    yield opened
    await opened.close()


async def publish(state: SQLiteState, keys: str) -> None:
    for key in keys:
        intent = await state.begin("photos", key, lease=1000)
        row = Row("photos", key, Facts(intent.version), "there")
        await state.commit(row, Event("ObjectCreated:Put", "photos", key, intent.version))


async def test_it_looks_no_further_ahead_than_it_is_told(state: SQLiteState) -> None:
    log = EmbeddedLog(state, poll=0.01, look_ahead=3)
    async with asyncio.timeout(SECONDS), log.subscribe("west") as deliveries:
        await publish(state, "abcd")
        held = [await anext(deliveries) for _ in range(3)]
        fourth = asyncio.ensure_future(anext(deliveries))
        for behind in held[1:]:
            await behind.acknowledge()
        assert not fourth.done()

        await held[0].acknowledge()

        assert (await fourth).event.key == "d"


async def test_a_cursor_that_could_not_be_saved_is_saved_by_acknowledging_again(
    state: SQLiteState,
) -> None:
    outbox = Failing(state)
    async with (
        asyncio.timeout(SECONDS),
        EmbeddedLog(outbox, poll=0.01).subscribe("west") as deliveries,
    ):
        await publish(state, "a")
        delivery = await anext(deliveries)
        outbox.fails = True
        with pytest.raises(Unavailable):
            await delivery.acknowledge()
        assert len(await state.unread("west", after=0, limit=10)) == 1
        outbox.fails = False

        await delivery.acknowledge()

        assert await state.unread("west", after=0, limit=10) == []


async def test_an_iteration_goes_on_after_the_outbox_failed(state: SQLiteState) -> None:
    outbox = Failing(state)
    async with (
        asyncio.timeout(SECONDS),
        EmbeddedLog(outbox, poll=0.01).subscribe("west") as deliveries,
    ):
        outbox.fails = True
        with pytest.raises(Unavailable):
            await anext(deliveries)
        outbox.fails = False
        await publish(state, "a")

        assert (await anext(deliveries)).event.key == "a"


async def test_a_backlog_is_read_in_pages_not_event_by_event(state: SQLiteState) -> None:
    outbox = Failing(state)
    log = EmbeddedLog(outbox, poll=60, look_ahead=20)
    async with asyncio.timeout(SECONDS), log.subscribe("west") as deliveries:
        await publish(state, "abcdefghij" * 10)
        for _ in range(100):
            await (await anext(deliveries)).acknowledge()

        assert outbox.looks <= 100 / (20 / 10) + 1


async def test_acknowledgements_that_wait_together_share_a_write(state: SQLiteState) -> None:
    outbox = Failing(state)
    log = EmbeddedLog(outbox, poll=0.01)
    async with asyncio.timeout(SECONDS), log.subscribe("west") as deliveries:
        await publish(state, "abcdefgh")
        taken = [await anext(deliveries) for _ in range(8)]

        await asyncio.gather(*(delivery.acknowledge() for delivery in taken))

    assert outbox.writes <= 2
    assert await state.unread("west", after=0, limit=10) == []


async def test_a_log_that_has_nowhere_to_keep_dead_letters_says_so_and_keeps_the_event_out(
    state: SQLiteState,
) -> None:
    async with (
        asyncio.timeout(SECONDS),
        EmbeddedLog(state, poll=0.01).subscribe("west") as deliveries,
    ):
        await publish(state, "a")
        delivery = await anext(deliveries)
        with pytest.raises(NotSupported, match=r"west gives up: photos/a \(too large\)"):
            await delivery.dead_letter("too large")
        assert len(await state.unread("west", after=0, limit=10)) == 1

        await delivery.acknowledge()

        assert await state.unread("west", after=0, limit=10) == []
