"""How fast bodies go between sites: a limit for each site and direction, by the time of the day.

A limit never starves what moves. Bodies share it evenly, and only so many move at once that each
gets LEAST_OF_A_BODY: 512 KiB, the largest block that a receiver waits for, come in 16 seconds then,
within the timeouts of both ends and the leases that are renewed between blocks. The others wait
before they ask, where no timeout runs.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Final

from msgspec import Struct

from backends.clock import milliseconds
from backends.storage.layers.throttled import Rate

LEAST: Final = 64 * 1024
LEAST_OF_A_BODY: Final = 32 * 1024
LARGEST_PIECE: Final = 64 * 1024
LEAST_PIECE: Final = 1024
PIECES_A_SECOND: Final = 8
LOOK_SECONDS: Final = 1.0
MINUTE: Final = 60_000
HOUR: Final = 60
DAY: Final = 24 * HOUR


class Direction(StrEnum):
    """OUT: what we send to a site. IN: what we read from it."""

    OUT = "out"
    IN = "in"


class Limit(Struct, frozen=True, omit_defaults=True):
    """At most `rate` bytes a second in that direction; 0 is no limit, else LEAST or more.

    `since` and `until` are times of the day in UTC, "HH:MM", past midnight where `until` is the
    earlier. Without them it holds whenever no other one of its direction does.
    """

    direction: Direction
    rate: int
    since: str = ""
    until: str = ""

    def holds(self, clock: str) -> bool:
        """Whether that time of the day is in its window."""
        if self.since <= self.until:
            return self.since <= clock < self.until
        return clock >= self.since or clock < self.until


Limits = Sequence[Limit]


def rate_at(limits: Limits, direction: Direction, clock: str) -> int:
    """The rate at that time of the day: of the first window it is in, else the plain one."""
    mine = [limit for limit in limits if limit.direction is direction]
    held = [limit.rate for limit in mine if limit.since and limit.holds(clock)]
    plain = [limit.rate for limit in mine if not limit.since]
    return next(iter(held + plain), 0)


def clock_of(now: int) -> str:
    """The time of the day, in UTC, of a time in milliseconds."""
    minutes = now // MINUTE % DAY
    return f"{minutes // HOUR:02}:{minutes % HOUR:02}"


class Pace:
    """One direction of one site, for all bodies of this process. `rate` tells the rate now."""

    def __init__(self, rate: Callable[[], int], allowed: Rate | None = None) -> None:
        self._rate = rate
        self._allowed = allowed or Rate(0)
        self._moving = 0
        self._queue = asyncio.Lock()
        self._left = asyncio.Event()

    @asynccontextmanager
    async def body(self) -> AsyncIterator[None]:
        """One body moves while the block runs; wait first until there is room for one more."""
        async with self._queue:
            while not self._has_room():
                await self._wait()
            self._moving += 1
        try:
            yield
        finally:
            self._moving -= 1
            self._left.set()

    async def slowed(self, blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same bytes, no faster than allowed."""
        async for block in blocks:
            at = 0
            while at < len(block):
                size = self._piece() or len(block)
                piece = block[at : at + size]
                await self._allowed.spend(len(piece))
                yield piece
                at += size

    def _piece(self) -> int:
        """How many bytes go at a time now; 0 where there is no limit."""
        rate = self._rate()
        self._allowed.change(rate)
        if not rate:
            return 0
        fair = rate // (PIECES_A_SECOND * max(self._moving, 1))
        return min(max(fair, LEAST_PIECE), LARGEST_PIECE)

    def _has_room(self) -> bool:
        rate = self._rate()
        return not rate or self._moving < max(rate // LEAST_OF_A_BODY, 1)

    async def _wait(self) -> None:
        """Until one has left, or the rate may be another one."""
        self._left.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._left.wait()


class Bandwidth:
    """The paces of this process by site and direction, as the limits are told now."""

    def __init__(self, now: Callable[[], int] = milliseconds) -> None:
        self._now = now
        self._limits: Mapping[str, Limits] = {}
        self._processes: Mapping[str, Mapping[Direction, int]] = {}
        self._paces: dict[tuple[str, Direction], Pace] = {}

    def follow(
        self, limits: Mapping[str, Limits], processes: Mapping[str, Mapping[Direction, int]]
    ) -> None:
        """From now on these limits hold, by site; so many `processes` share each of them."""
        self._limits = limits
        self._processes = processes

    def pace(self, site: str, direction: Direction) -> Pace:
        """The same one for all who ask."""
        place = (site, direction)
        if place not in self._paces:
            self._paces[place] = Pace(lambda: self.rate(site, direction))
        return self._paces[place]

    def rate(self, site: str, direction: Direction) -> int:
        """Our process's share of the limit now, in bytes a second; 0 where there is none."""
        limits = self._limits.get(site)
        if not limits:
            return 0
        rate = rate_at(limits, direction, clock_of(self._now()))
        processes = self._processes.get(site, {}).get(direction, 1)
        return max(rate // max(processes, 1), LEAST_OF_A_BODY) if rate else 0
