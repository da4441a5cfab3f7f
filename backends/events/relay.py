"""From the outbox to a broker: the outbox is the truth, the broker carries it on."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from backends.clock import milliseconds
from backends.errors import BackendError, Unavailable
from backends.model import Event

GROUP: Final = "relay"
PAGE: Final = 5000
LEASE_MILLISECONDS: Final = 15_000
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0

log: Final = structlog.get_logger("events")


class Publisher(Protocol):
    """Where a relay hands events on to."""

    async def publish(self, events: Sequence[Event]) -> None:
        """All of them in order, durable at the broker when this returns.

        Unavailable, AccessDenied or NotFound otherwise, and then some may have arrived. Cancelled,
        it sends none of them any more.
        """

    async def close(self) -> None:
        """Let go of the broker."""


class Outbox(Protocol):
    """What the relay needs of a state store; see `backends.state.protocol`."""

    async def subscribe(self, group: str) -> None: ...

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]: ...

    async def acknowledge(self, group: str, sequence: int) -> None: ...

    async def acquire(self, name: str, holder: str, *, lease: int) -> bool: ...


@dataclass(slots=True)
class Figures:
    """How a relay stands, for metrics and health; the relay keeps it up to date.

    `published` counts events since the process started. `oldest` is when the oldest event that
    waits was committed (milliseconds since the epoch; None where none waits), in every process of
    a site whether it has the lease or not. `error` is why the broker or the outbox took nothing
    the last time ("" where it did).
    """

    leading: bool = False
    published: int = 0
    failures: int = 0
    oldest: int | None = None
    error: str = ""

    def behind(self, now: int) -> int:
        """For how many milliseconds the oldest event has waited."""
        return 0 if self.oldest is None else max(now - self.oldest, 0)


class Relay:
    """Moves events in their order, at least once, skipping none.

    One relay of a site works at a time, by a lease of `lease` milliseconds; the others look after
    the outbox's age. `poll` seconds pass between looks at an empty outbox. While the broker is
    away the outbox grows, and the relay tries again after pauses that grow to five seconds, with
    smaller pages: one that a slow broker cannot take within the lease must not come back for ever.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        *,
        poll: float,
        page: int = PAGE,
        lease: int = LEASE_MILLISECONDS,
        group: str = GROUP,
        now: Callable[[], int] = milliseconds,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._poll = poll
        self._page = page
        self._size = page
        self._lease = lease
        self._group = group
        self._now = now
        self._holder = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._leads_until = 0
        self._pause = FIRST_PAUSE
        self.figures = Figures()

    async def subscribe(self) -> None:
        """From now on events are kept for the relay: call it before the first request is served."""
        await self._outbox.subscribe(self._group)

    async def run(self) -> None:
        """Move events until cancelled; then the lease is free for another process."""
        try:
            while True:
                pause = await self._turn()
                await asyncio.sleep(pause)
        finally:
            with contextlib.suppress(BackendError):
                await self._give_up_lease()
            await self._publisher.close()

    async def _turn(self) -> float:
        """Try to move a page; how many seconds to wait before the next."""
        try:
            pause = await self._move()
        except BackendError as error:
            return self._failed(error)
        if self.figures.error:
            log.info("events are relayed again", published=self.figures.published)
        self.figures.error = ""
        self._pause = FIRST_PAUSE
        return pause

    async def _move(self) -> float:
        self.figures.leading = await self._leads()
        limit = self._size if self.figures.leading else 1
        found = await self._outbox.unread(self._group, after=0, limit=limit)
        self.figures.oldest = found[0][1].made if found else None
        if not self.figures.leading:
            return self._lease / 3000
        if found:
            await self._publish([event for _, event in found])
            await self._outbox.acknowledge(self._group, found[-1][0])
            self.figures.published += len(found)
            self._size = min(self._size * 2, self._page)
        if len(found) == limit:
            return 0
        self.figures.oldest = None
        return self._poll

    async def _leads(self) -> bool:
        """Whether this relay may work; its lease is renewed long before it runs out."""
        if self._now() + self._lease * 2 // 3 < self._leads_until:
            return True
        now = self._now()
        leads = await self._outbox.acquire(self._group, self._holder, lease=self._lease)
        self._leads_until = now + self._lease if leads else 0
        return leads

    async def _publish(self, events: Sequence[Event]) -> None:
        """Publish within the lease, or not at all."""
        seconds = self._lease / 2000
        try:
            async with asyncio.timeout(seconds):
                await self._publisher.publish(events)
        except TimeoutError as error:
            raise Unavailable(f"{len(events)} events were not taken in {seconds} s") from error

    def _failed(self, error: BackendError) -> float:
        if not self.figures.error:
            log.warning("events wait in the outbox", error=str(error))
        self.figures.error = str(error)
        self.figures.failures += 1
        self._size = max(self._size // 4, 1)
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause

    async def _give_up_lease(self) -> None:
        if self.figures.leading:
            self.figures.leading = False
            await self._outbox.acquire(self._group, self._holder, lease=0)
