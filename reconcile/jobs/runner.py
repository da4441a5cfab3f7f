"""Runs jobs: each in one process of the site at a time, step by step, from its checkpoint."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final

import structlog
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import BackendError, NotFound, Unavailable
from backends.state.holding import HeldElsewhere, holding
from backends.state.protocol import StateStore
from reconcile.jobs.ledger import Known, Ledger
from reconcile.jobs.progress import Progress, with_step
from reconcile.jobs.work import Job, Standing, Step, Wanted, Work

log: Final = structlog.get_logger("jobs")
LOOK_SECONDS: Final = 0.5
CONTROL_SECONDS: Final = 0.5
LEASE: Final = 15_000
AT_ONCE: Final = 4
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
ATTEMPTS: Final = 10


class Stopped(Exception):
    """An operator wants the job to pause, or to end."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self.standing = Standing.PAUSED if wanted is Wanted.PAUSE else Standing.CANCELLED


class Runner:
    """Takes the jobs that are active, some at once, until cancelled.

    What is Unavailable is tried again, later and later, from the last checkpoint; after ATTEMPTS in
    vain the job has failed, as at once for any other error. It can be resumed then.
    """

    def __init__(self, state: StateStore, ledger: Ledger, works: Mapping[str, Work]) -> None:
        self._state = state
        self._ledger = ledger
        self._works = works
        self._running: dict[str, Progress] = {}
        self.active: Sequence[Known] = ()  # whichever process runs them, as of the last look

    async def run(self) -> None:
        """Carry on, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._look(group)
                except BackendError as error:
                    log.warning("jobs cannot be read", error=str(error))
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        found = [await self._known(name) for name in await self._ledger.active()]
        self.active = [known for known in found if known]
        for known in self.active:
            name = known.job.id
            if name not in self._running and len(self._running) < AT_ONCE and is_due(known):
                self._running[name] = Progress()
                group.create_task(self._take(name))

    async def _known(self, name: str) -> Known | None:
        """None where it is only half written, or gone by now."""
        try:
            return await self._ledger.find(name)
        except NotFound:
            return None

    async def _take(self, name: str) -> None:
        try:
            async with holding(self._state, f"job-{name}", lease=LEASE):
                await self._carry(name)
        except HeldElsewhere:
            log.debug("another process runs it", job=name)
        except BackendError as error:
            log.warning("a job will be taken again", job=name, error=str(error))
        finally:
            del self._running[name]

    async def _carry(self, name: str) -> None:
        job, progress = await self._ledger.find(name)
        if progress.standing.is_end:
            await self._ledger.save(name, progress)
            return
        now = milliseconds()
        begun = replace(progress, started=progress.started or now, ended=0, error="")
        await self._save(job, replace(begun, standing=Standing.RUNNING, updated=now))
        standing, error = await self._standing_after(job)
        last = self._running[name]
        ended = milliseconds() if standing.is_end else 0
        await self._save(job, replace(last, standing=standing, ended=ended, error=error))
        log.info("a job stopped", job=name, standing=standing, error=error)

    async def _standing_after(self, job: Job) -> tuple[Standing, str]:
        """Where it stands when it goes no further by itself, and why, if it failed."""
        try:
            await self._until_done(job)
        except Stopped as stopped:
            return stopped.standing, ""
        except BackendError as error:
            return Standing.FAILED, str(error) or type(error).__name__
        except Exception as error:
            log.exception("a job broke", job=job.id)
            return Standing.FAILED, f"{type(error).__name__}: {error}"
        return Standing.DONE, ""

    async def _until_done(self, job: Job) -> None:
        attempt = 0
        while True:
            before = self._running[job.id].checkpoint
            try:
                return await self._steps(job)
            except Unavailable as error:
                attempt = attempt + 1 if self._running[job.id].checkpoint == before else 1
                if attempt >= ATTEMPTS:
                    raise
                await self._save(job, replace(self._running[job.id], error=str(error)))
                log.warning("a job waits", job=job.id, error=str(error))
            await self._wait(job, min(FIRST_PAUSE * 2.0**attempt, LONGEST_PAUSE))

    async def _steps(self, job: Job) -> None:
        await self._wait(job, 0)
        steps = self._works[job.kind].run(job, self._running[job.id].checkpoint)
        async with aclosing(steps):
            began = time.monotonic()
            async for step in steps:
                await self._taken(job, step)
                await self._wait(job, seconds_for(job, step) - (time.monotonic() - began))
                began = time.monotonic()

    async def _taken(self, job: Job, step: Step) -> None:
        """Its report first: a step whose checkpoint is not written is done again."""
        progress = self._running[job.id]
        chunks = await self._ledger.tell(job.id, step.findings, behind=progress.chunks)
        await self._save(job, with_step(progress, step, milliseconds(), chunks=chunks))

    async def _wait(self, job: Job, seconds: float) -> None:
        """Wait so long, unless operators want something else meanwhile. Stopped."""
        until = time.monotonic() + seconds
        while True:
            wanted = (await self._ledger.job(job.id)).wanted
            if wanted is not Wanted.RUN:
                raise Stopped(wanted)
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, CONTROL_SECONDS))

    async def _save(self, job: Job, progress: Progress) -> None:
        self._running[job.id] = progress
        await self._ledger.save(job.id, progress)


def is_due(known: Known) -> bool:
    """Whether there is something to do; a job that is to pause, and does, rests."""
    paused = known.progress.standing is Standing.PAUSED
    return not (paused and known.job.wanted is Wanted.PAUSE)


def seconds_for(job: Job, step: Step) -> float:
    """How long a step may take no less than, by the rates of the job."""
    rates = ((step.done, job.objects_per_second), (step.moved, job.bytes_per_second))
    return max(amount / rate if rate else 0.0 for amount, rate in rates)
