"""Jobs that come again by themselves: one process of the site starts what is due."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog

from backends.clock import milliseconds
from backends.errors import BackendError, Refused
from backends.state.holding import new_holder
from backends.state.protocol import StateStore
from reconcile.jobs.ledger import Ledger
from replication.documents import Documents, value_at

log: Final = structlog.get_logger("jobs")
LEASE_NAME: Final = "schedule"
KNOWN: Final = "schedule/"
LONGEST_PAUSE: Final = 30.0
SECOND: Final = 1000


class Recurring(NamedTuple):
    """A job that is started `every` so many seconds, unless the last one still runs."""

    kind: str
    every: float
    order: Mapping[str, Any]
    dry_run: bool = False


class Schedule:
    """Starts what recurs, until cancelled; for the first time when it was known for that long."""

    def __init__(
        self, state: StateStore, own: Documents, ledger: Ledger, recurring: Sequence[Recurring]
    ) -> None:
        self._state = state
        self._own = own
        self._ledger = ledger
        self._recurring = recurring

    async def run(self) -> None:
        """Carry on, also after the state could not be read."""
        holder = new_holder()
        pause = min([LONGEST_PAUSE, *(one.every / 4 for one in self._recurring)])
        while self._recurring:
            try:
                lease = int((pause + LONGEST_PAUSE) * SECOND)
                if await self._state.acquire(LEASE_NAME, holder, lease=lease):
                    for one in self._recurring:
                        await self._start_if_due(one)
            except BackendError as error:
                log.warning("the schedule will be looked at again", error=str(error))
            await asyncio.sleep(pause)

    async def _start_if_due(self, one: Recurring) -> None:
        if not await self._is_due(one):
            return
        try:
            job = await self._ledger.start(one.kind, one.order, dry_run=one.dry_run, scheduled=True)
            log.info("a job was due", job=job.id)
        except Refused as error:
            log.debug("nothing to do", kind=one.kind, reason=str(error))

    async def _is_due(self, one: Recurring) -> bool:
        now, every = milliseconds(), one.every * SECOND
        known = [job for job in await self._ledger.jobs(one.kind) if job.job.scheduled]
        if not known:
            return now - await self._known_since(one.kind, now) >= every
        last = known[0]
        return now - last.job.created >= every and last.progress.standing.is_end

    async def _known_since(self, kind: str, now: int) -> int:
        """When it was first on the schedule, in milliseconds."""
        since = await value_at(self._own, KNOWN + kind, int, None)
        if since is None:
            await self._own.put(KNOWN + kind, now)
        return since or now
