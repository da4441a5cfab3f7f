"""What goes to one site: event by event, many objects at once, each in its order.

A site that does not answer stops all that goes to it, and nothing else; nothing is given up for
that. A change that the site answers with a failure is tried again, later and later, and parked
when it has failed often enough.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from backends.errors import AccessDenied, BackendError, NotSupported, Unavailable
from backends.events.protocol import Delivery, EventLog
from backends.events.records import REMOVED
from backends.model import Event, Row
from replication.client import SiteClient
from replication.confirmed import KeptBack
from replication.counter import Counter
from replication.parked import Parking
from replication.push import Push, Sent
from replication.topology import group_of
from replication.wire import SiteAway

log: Final = structlog.get_logger("replication")
AWAY: Final = (AccessDenied, SiteAway)
SENT: Final = "Replication:Sent"
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Patience:
    """`at_once` objects are under way; pauses grow from `first` to `most` seconds."""

    at_once: int = 32
    first: float = 0.2
    most: float = 60.0
    probe: float = 5.0
    attempts: int = 10

    def pause(self, attempt: int) -> float:
        """Seconds to wait after that attempt, the first of which is 1; with jitter."""
        return min(self.first * 2.0 ** min(attempt - 1, 30), self.most) * random.uniform(0.5, 1.0)


@dataclass(slots=True)
class Tries:
    """How often a change was sent in vain; `counted` are those that speak against the change."""

    all: int = 0
    counted: int = 0


@dataclass(slots=True)
class Single:
    """A Delivery that comes from no log."""

    event: Event
    done: bool = False

    async def acknowledge(self) -> None:
        self.done = True

    async def retry_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def dead_letter(self, reason: str) -> None:
        raise NotSupported(f"nothing keeps {self.event.key}: {reason}")


class Target:
    """Carries the changes of a log to one site, until cancelled. `wants` tells which."""

    def __init__(
        self,
        push: Push,
        site: SiteClient,
        parking: Parking,
        patience: Patience,
        wants: Callable[[Event], bool],
        kept_back: KeptBack,
    ) -> None:
        self._push = push
        self._site = site
        self._parking = parking
        self._patience = patience
        self._wants = wants
        self._kept_back = kept_back
        self._tries: dict[Place, Tries] = {}
        self._parked: set[Place] = set()
        self._answers = asyncio.Event()
        self._answers.set()
        self._asking = asyncio.Lock()
        self.counter = Counter()

    async def run(self, events: EventLog) -> None:
        """Carry on, also after the log could not be read."""
        while True:
            try:
                await self._remember_parked()
                await self._subscribed(events)
            except* BackendError as failed:
                error = failed.exceptions[0]
                self.counter.waiting(error)
                log.warning("changes cannot be read", site=self._site.name, error=str(error))
            await asyncio.sleep(self._patience.pause(3))

    async def send(self, row: Row) -> None:
        """Send the newest of a row's object, for as long as that takes, or park it."""
        event = Event(SENT, row.bucket, row.key, row.version, row.facts.size)
        delivery = Single(event)
        while not delivery.done:
            await self._handle(delivery)

    async def _remember_parked(self) -> None:
        parked = await self._parking.of(self._site.name)
        self._parked = {(letter.event.bucket, letter.event.key) for letter in parked}

    async def _subscribed(self, events: EventLog) -> None:
        async with (
            events.subscribe(group_of(self._site.name)) as deliveries,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self._patience.at_once):
                group.create_task(self._work(deliveries))

    async def _work(self, deliveries: AsyncIterator[Delivery]) -> None:
        async for delivery in deliveries:
            self.counter.begin(delivery.event)
            try:
                await self._handle(delivery)
            finally:
                self.counter.end(delivery.event)

    async def _handle(self, delivery: Delivery) -> None:
        event = delivery.event
        if not self._wants(event):
            if event.name.startswith(REMOVED):
                await self._kept_back.tell(self._site.name)
            await delivery.acknowledge()
            return
        try:
            self.counter.sent(await self._deliver(event))
        except BackendError as error:
            await self._failed(delivery, error)
        else:
            await self._arrived((event.bucket, event.key))
            await delivery.acknowledge()

    async def _arrived(self, place: Place) -> None:
        self._tries.pop(place, None)
        if place in self._parked:
            self._parked.discard(place)
            await self._parking.settle(self._site.name, *place)

    async def _deliver(self, event: Event) -> Sent:
        """Send it; wait, for as long as it takes, while the site itself does not answer."""
        while True:
            await self._answers.wait()
            try:
                return await self._push.event(event, self._site)
            except AWAY as error:
                if await self._is_there(error):
                    raise

    async def _is_there(self, error: BackendError) -> bool:
        """Whether the site answers all the same; where not, this returns when it does again."""
        async with self._asking:
            if not self._answers.is_set():
                return False
            if await self._greeted():
                return True
            self._answers.clear()
        self.counter.waiting(error)
        log.warning("a site does not answer", site=self._site.name, error=str(error))
        await self._until_it_answers()
        return False

    async def _until_it_answers(self) -> None:
        attempt = 1
        try:
            while not await self._greeted():
                await asyncio.sleep(min(self._patience.pause(attempt), self._patience.probe))
                attempt += 1
            log.info("a site answers again", site=self._site.name)
        finally:
            self._answers.set()

    async def _greeted(self) -> bool:
        try:
            await self._site.hello()
        except BackendError as error:
            self.counter.waiting(error)
            return False
        return True

    async def _failed(self, delivery: Delivery, error: BackendError) -> None:
        """Later again, or parked. What is our own ground's fault, or a full site's, counts not."""
        event = delivery.event
        place = (event.bucket, event.key)
        self.counter.failed(error)
        tries = self._tries.setdefault(place, Tries())
        tries.all += 1
        tries.counted += isinstance(error, SiteAway) or not isinstance(error, Unavailable)
        if tries.counted < self._patience.attempts:
            asked = getattr(error, "retry_after", 0.0)
            await delivery.retry_after(max(self._patience.pause(tries.all), asked))
            return
        await self._park(event, error, tries)
        await delivery.acknowledge()

    async def _park(self, event: Event, error: BackendError, tries: Tries) -> None:
        place = (event.bucket, event.key)
        site = self._site.name
        log.error("a change is parked", site=site, object="/".join(place), error=str(error))
        await self._parking.park(site, event, str(error), tries.counted)
        self._parked.add(place)
        del self._tries[place]
        self.counter.parked()
