"""Everything that goes out from this process: one target for each site that takes changes."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog

from backends.clock import milliseconds
from backends.errors import BackendError
from backends.events.protocol import EventLog
from backends.events.records import REMOVED
from backends.model import Event, Row
from backends.state.holding import HeldElsewhere, holding, new_holder
from backends.state.protocol import StateStore
from replication.backfill import Backfill
from replication.bandwidth import Direction
from replication.client import Link
from replication.confirmed import KeptBack
from replication.counter import Counter
from replication.documents import OWN, SHARED, Documents
from replication.figures import FRESH, TARGETS, Figures
from replication.parked import Parking
from replication.push import Push
from replication.target import Patience, Target
from replication.topology import Site, Topology, topology_in

log: Final = structlog.get_logger("replication")
LOOK_SECONDS: Final = 1.0
BACKFILL_SECONDS: Final = 10.0
QUIET: Final = 5_000
FORGOTTEN: Final = 3_600_000
LEASE: Final = 15_000


@dataclass(frozen=True, slots=True)
class Running:
    """A target at work, and the site as it was when it began."""

    site: Site
    target: Target
    task: asyncio.Task[None]

    def serves(self, site: Site | None) -> bool:
        """Whether it is what the site needs."""
        return site is not None and site.endpoint == self.site.endpoint


class Replicator:
    """Follows the topology: starts and stops what goes to each site, and writes down the figures.

    `shared_log`: whether several processes may read a group at once; else one of them does, by
    lease.
    """

    def __init__(
        self,
        state: StateStore,
        events: EventLog,
        push: Push,
        link: Link,
        patience: Patience,
        *,
        shared_log: bool,
    ) -> None:
        self._state = state
        self._events = events
        self._push = push
        self._link = link
        self._patience = patience
        self._shared_log = shared_log
        self._shared = Documents(state, SHARED)
        self._own = Documents(state, OWN)
        self._kept_back = KeptBack(self._own)
        self._holder = new_holder()
        self._running: dict[str, Running] = {}
        self._written: dict[str, Figures] = {}
        self._changed = asyncio.Event()
        self.topology = Topology({})

    async def run(self) -> None:
        """Carry on until cancelled."""
        await self._forget_dead()
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._look(group)
                    await self._write_figures()
                except BackendError as error:
                    log.warning("the sites cannot be looked up", error=str(error))
                await self._wait()

    async def _wait(self) -> None:
        """Until it is time to look again, or the topology is another one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._changed.wait()
        self._changed.clear()

    async def _forget_dead(self) -> None:
        """Drop the figures of processes that have ended long ago."""
        oldest = milliseconds() - FORGOTTEN
        for document in await self._own.under(TARGETS):
            if document.value(Figures).taken < oldest:
                await self._own.drop(document.name)

    async def refresh(self) -> None:
        """Look up the topology at once: it was changed here, or is not known yet."""
        self.topology = await topology_in(self._shared)
        self._changed.set()

    def counters(self) -> Mapping[str, Counter]:
        """What this process counts, by site."""
        return {name: running.target.counter for name, running in self._running.items()}

    async def _look(self, group: asyncio.TaskGroup) -> None:
        """Begin and end what the topology asks for."""
        self.topology = await topology_in(self._shared)
        await self._limit()
        wanted = {site.name: site for site in self._takers()}
        for name, running in list(self._running.items()):
            if running.task.done() or not running.serves(wanted.get(name)):
                running.task.cancel()
                del self._running[name]
        for name, site in wanted.items():
            if name not in self._running:
                self._running[name] = self._begun(site, group)

    async def _limit(self) -> None:
        """Let bandwidth be as the topology says, shared by the processes that are at work."""
        limits = {
            site.name: site.bandwidth for site in self.topology.sites.values() if site.bandwidth
        }
        processes = {name: await self._sharing(name) for name in limits}
        self._link.bandwidth.follow(limits, processes)

    async def _sharing(self, site: str) -> dict[Direction, int]:
        """How many processes send to the site, and how many may read from it."""
        oldest = milliseconds() - FRESH
        figures = await self._own.values(f"{TARGETS}{site}/", Figures)
        alive = sum(one.taken >= oldest for one in figures)
        return {Direction.OUT: alive if self._shared_log else 1, Direction.IN: alive}

    def _takers(self) -> Iterator[Site]:
        now = milliseconds()
        for site in self.topology.sites.values():
            if site.name != self._link.caller.name and site.takes(now):
                yield site

    def _begun(self, site: Site, group: asyncio.TaskGroup) -> Running:
        client = self._link.to(site.name, site.endpoint)

        def wants(event: Event) -> bool:
            deleted = event.name.startswith(REMOVED)
            return self.topology.sends(event.bucket, event.key, site.name, deleted=deleted)

        target = Target(
            self._push, client, Parking(self._own), self._patience, wants, self._kept_back
        )
        return Running(site, target, group.create_task(self._carry(site, target)))

    async def _carry(self, site: Site, target: Target) -> None:
        """Carry changes, and once what was there before, for as long as this process may."""
        while True:
            try:
                async with self._turn(site), asyncio.TaskGroup() as group:
                    group.create_task(self._backfill(site, target))
                    group.create_task(target.run(self._events))
            except* HeldElsewhere:
                log.debug("another process sends", site=site.name)
            except* BackendError as failed:
                error = failed.exceptions[0]
                log.warning("replication begins again", site=site.name, error=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def _turn(self, site: Site) -> AsyncIterator[None]:
        """Nobody else sends to the site while the block runs, unless the log can be shared."""
        if self._shared_log:
            yield
            return
        async with holding(self._state, f"replicate-{site.name}", lease=LEASE):
            yield

    async def _backfill(self, site: Site, target: Target) -> None:
        async def send(row: Row) -> None:
            if self.topology.sends(row.bucket, row.key, site.name, deleted=row.deleted):
                await target.send(row)
            elif row.deleted and row.bucket != OWN:
                await self._kept_back.tell(site.name)

        work = Backfill(self._state, self._own, send, self._patience.at_once)
        while True:
            try:
                async with holding(self._state, f"backfill-{site.name}", lease=LEASE):
                    await work.run(site.name)
            except HeldElsewhere:
                log.debug("another process sends what was here", site=site.name)
            await asyncio.sleep(BACKFILL_SECONDS)

    async def _write_figures(self) -> None:
        """For the other processes, where something happened."""
        for name, counter in self.counters().items():
            figures = counter.figures()
            if _news(figures, self._written.get(name)):
                await self._own.put(f"{TARGETS}{name}/{self._holder}", figures)
                self._written[name] = figures


def _news(now: Figures, before: Figures | None) -> bool:
    if before is None or now.taken - before.taken > QUIET:
        return True
    return any(
        getattr(now, name) != getattr(before, name)
        for name in Figures.__struct_fields__
        if name != "taken"
    )
