"""Handing out what came from a broker: lanes of events, any number of tasks that work on them."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from backends.events.window import Numbered, Window
from backends.model import Event

IDLE_SECONDS: Final = 60.0


class Lane:
    """Events in an order of their own, as a partition has them; `out` of them are being worked on.

    `owned` is False from when another consumer may have been given the lane.
    """

    def __init__(self, size: int) -> None:
        self.window = Window(size)
        self.out = 0
        self.owned = True


class Source(Protocol):
    """Where the events of the lanes come from."""

    async def settled(self, lane: Lane, numbered: Numbered) -> None:
        """The group is done with it."""

    async def park(self, event: Event, reason: str) -> None:
        """Keep it aside."""


class Lanes:
    """Iterate to be handed events; several tasks may. Ends, or fails, for all of them at once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._lanes: deque[Lane] = deque()
        self._changed = asyncio.Event()
        self._held = False
        self._closed = False
        self._failure: BaseException | None = None

    def __aiter__(self) -> "Lanes":
        return self

    async def __anext__(self) -> "LaneDelivery":
        while not self._closed:
            if self._failure is not None:
                raise self._failure
            changed = self._changed
            taken = None if self._held else self._take()
            if taken:
                return taken
            await self._wait(changed)
        raise StopAsyncIteration

    def replace(self, lanes: Iterable[Lane]) -> None:
        """Hand out from these from now on, no longer held."""
        now = list(lanes)
        for gone in self._lanes:
            gone.owned = gone in now
        self._lanes = deque(now)
        self._held = False
        self.notify()

    def hold(self) -> None:
        """Hand nothing out until `replace`."""
        self._held = True

    async def settled(self) -> None:
        """Until nothing is being worked on; call it while held."""
        while any(lane.out for lane in self._lanes):
            await self.change()

    def fail(self, error: BaseException) -> None:
        """Raise it to each task that iterates, from now on."""
        self._failure = error
        self.notify()

    def close(self) -> None:
        """End every iteration."""
        self._closed = True
        self.notify()

    def notify(self) -> None:
        """Something changed: let those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Until something changed."""
        await self._changed.wait()

    def _take(self) -> "LaneDelivery | None":
        """From one lane after the other."""
        now = _now()
        for _ in range(len(self._lanes)):
            self._lanes.rotate(-1)
            lane = self._lanes[-1]
            numbered = lane.window.take(now)
            if numbered:
                lane.out += 1
                return LaneDelivery(self, lane, numbered)
        return None

    async def _wait(self, changed: asyncio.Event) -> None:
        """Until something changed or a retry is due."""
        due = [lane.window.next_retry() for lane in self._lanes]
        until = min((when for when in due if when is not None), default=_now() + IDLE_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await changed.wait()


@dataclass(slots=True)
class LaneDelivery:
    """One event handed out; settled once, whatever is called again later."""

    _lanes: Lanes
    _lane: Lane
    _numbered: Numbered
    _settled: bool = False

    @property
    def event(self) -> Event:
        return self._numbered.event

    async def acknowledge(self) -> None:
        """As Delivery. The broker learns of it a moment later, or at the end of the block."""
        if self._settle():
            self._lane.window.acknowledge(self._numbered)
            self._lanes.notify()
            await self._lanes.source.settled(self._lane, self._numbered)

    async def retry_after(self, seconds: float) -> None:
        """As Delivery."""
        if self._settle():
            self._lane.window.retry(self._numbered, _now() + seconds)
            self._lanes.notify()
            await asyncio.sleep(0)  # one who retries at once would let nobody else run

    async def dead_letter(self, reason: str) -> None:
        """As Delivery."""
        if not self._settled:
            await self._lanes.source.park(self.event, reason)
            await self.acknowledge()

    def _settle(self) -> bool:
        """Whether this is the first time."""
        if self._settled:
            return False
        self._settled = True
        self._lane.out -= 1
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
