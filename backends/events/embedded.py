"""The EventLog without a broker: the outbox of the state store, read by polling."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from backends.errors import NotSupported
from backends.events.protocol import Delivery
from backends.events.window import Numbered, Window
from backends.model import Event

Park = Callable[[str, Event, str], Awaitable[None]]
LOOK_AHEAD: Final = 1000
PAGES: Final = 10


class Outbox(Protocol):
    """What the log needs of a state store; see `backends.state.protocol`."""

    async def subscribe(self, group: str) -> None: ...

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]: ...

    async def acknowledge(self, group: str, sequence: int) -> None: ...


class EmbeddedLog:
    """Looks into the outbox every `poll` seconds while there is nothing to hand out.

    Up to `look_ahead` events behind the oldest unacknowledged one are held: where an event waits
    that long for its retry, those of other objects wait with it. A group has one subscriber at a
    time; a second one would be handed the same events. `park` keeps aside what a group gives up,
    from group, event and reason: the outbox itself has no place for it.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        poll: float,
        look_ahead: int = LOOK_AHEAD,
        park: Park | None = None,
    ) -> None:
        self._outbox = outbox
        self._poll = poll
        self._look_ahead = look_ahead
        self._park = park or _nowhere

    @asynccontextmanager
    async def subscribe(self, group: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """As EventLog. Several tasks may iterate; when the block ends, each iteration does."""
        await self._outbox.subscribe(group)
        window = Window(self._look_ahead)
        subscription = Subscription(self._outbox, group, self._poll, window, self._park)
        try:
            yield subscription
        finally:
            subscription.close()


class Subscription:
    """The deliveries of one group."""

    def __init__(self, outbox: Outbox, group: str, poll: float, window: Window, park: Park) -> None:
        self._outbox = outbox
        self._park = park
        self._group = group
        self._poll = poll
        self._window = window
        self._page = max(window.room // PAGES, 1)
        self._saved = 0
        self._next_look = 0.0
        self._reading = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._changed = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Delivery:
        while not self._closed:
            changed = self._changed
            await self._look()
            numbered = self._window.take(_now())
            if numbered:
                return EmbeddedDelivery(self, numbered)
            await self._wait(changed)
        raise StopAsyncIteration

    def close(self) -> None:
        """End every iteration."""
        self._closed = True
        self._notify()

    async def acknowledged(self, numbered: Numbered) -> None:
        """Move on behind what is done."""
        self._window.acknowledge(numbered)
        self._notify()
        await self.save()

    async def save(self) -> None:
        """Let the outbox know the cursor, unless it does; those who wait share one write."""
        if self._window.cursor <= self._saved:
            return
        async with self._saving:
            cursor = self._window.cursor
            if cursor > self._saved:
                await self._outbox.acknowledge(self._group, cursor)
                self._saved = cursor

    def retry(self, numbered: Numbered, seconds: float) -> None:
        """Hand it out again, not before so many seconds."""
        self._window.retry(numbered, _now() + seconds)
        self._notify()

    async def park(self, event: Event, reason: str) -> None:
        """Keep it aside for the group."""
        await self._park(self._group, event, reason)

    async def _look(self) -> None:
        """Read on in the outbox if it is time and there is room for a page."""
        async with self._reading:
            if self._window.room < self._page or _now() < self._next_look:
                return
            found = await self._outbox.unread(
                self._group, after=self._window.newest, limit=self._page
            )
            for numbered in found:
                self._window.add(Numbered(*numbered))
            if len(found) < self._page:
                self._next_look = _now() + self._poll
            if found:
                self._notify()

    async def _wait(self, changed: asyncio.Event) -> None:
        """Until something changed here, a retry is due or it is time to look again."""
        due = self._window.next_retry()
        until = _now() + self._poll if due is None else min(due, _now() + self._poll)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(slots=True)
class EmbeddedDelivery:
    """One event handed out; settled once, whatever is called again later."""

    _subscription: Subscription
    _numbered: Numbered
    _settled: bool = False

    @property
    def event(self) -> Event:
        return self._numbered.event

    async def acknowledge(self) -> None:
        """As Delivery. Where the outbox fails, call again: the event itself stays done."""
        if self._settled:
            await self._subscription.save()
            return
        self._settled = True
        await self._subscription.acknowledged(self._numbered)

    async def retry_after(self, seconds: float) -> None:
        """As Delivery."""
        if not self._settled:
            self._settled = True
            self._subscription.retry(self._numbered, seconds)

    async def dead_letter(self, reason: str) -> None:
        """As Delivery."""
        if not self._settled:
            await self._subscription.park(self.event, reason)
            await self.acknowledge()


async def _nowhere(group: str, event: Event, reason: str) -> None:
    raise NotSupported(
        f"nothing keeps what {group} gives up: {event.bucket}/{event.key} ({reason})"
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
