"""Jobs that come again by themselves: one process of the site starts what is due."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog

from backends.clock import milliseconds
from backends.errors import BackendError, Refused
from backends.state.holding import new_holder
from backends.state.protocol import StateStore
from reconcile.ledger import Ledger

log: Final = structlog.get_logger("jobs")
LEASE_NAME: Final = "schedule"
LONGEST_PAUSE: Final = 30.0
SECOND: Final = 1000


class Recurring(NamedTuple):
    """A job that is started `every` so many seconds, unless the last one still runs."""

    kind: str
    every: float
    order: Mapping[str, Any]
    dry_run: bool = False


class Schedule:
    """Starts what recurs, until cancelled."""

    def __init__(self, state: StateStore, ledger: Ledger, recurring: Sequence[Recurring]) -> None:
        self._state = state
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
        known = [job for job in await self._ledger.jobs(one.kind) if job.job.scheduled]
        if not known:
            return True
        last = known[0]
        old = milliseconds() - last.job.created >= one.every * SECOND
        return old and last.progress.standing.is_end
