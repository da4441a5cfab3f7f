"""The jobs of a site, their progress and their reports, kept in its state."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import NotFound, PreconditionFailed, Refused
from backends.model import Precondition
from reconcile.jobs.progress import Progress, pieces
from reconcile.jobs.work import Finding, Job, Standing, Wanted, Work
from replication.documents import Documents, value_at

JOBS: Final = "jobs/"
PROGRESS: Final = "progress/"
REPORTS: Final = "reports/"
ACTIVE: Final = "active/"
CHUNK: Final = 500
KEPT: Final = 200
KEPT_OF_SCHEDULE: Final = 20


class Known(NamedTuple):
    """A job, and how far it is."""

    job: Job
    progress: Progress


class Ledger:
    """What was ordered, and how it goes.

    `works` are the kinds of work there are, by name; of those that are `absent` it says why.
    """

    def __init__(
        self,
        own: Documents,
        works: Mapping[str, Work],
        absent: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._own = own
        self._works = works
        self._absent = absent

    async def start(
        self,
        kind: str,
        order: Mapping[str, Any],
        *,
        dry_run: bool = False,
        objects_per_second: float = 0,
        bytes_per_second: float = 0,
        scheduled: bool = False,
    ) -> Job:
        """Order a job; some process of the site takes it soon. Refused, NotFound as its kind."""
        now = milliseconds()
        job = Job(
            new_id(kind, now),
            kind,
            now,
            dict(order),
            dry_run=dry_run,
            objects_per_second=objects_per_second,
            bytes_per_second=bytes_per_second,
            scheduled=scheduled,
        )
        await self._work_of(job).check(job)
        await self._own.put(ACTIVE + job.id, now)
        await self._own.put(JOBS + job.id, job)
        await self._forget_oldest(kind, scheduled=scheduled)
        return job

    async def job(self, name: str) -> Job:
        """NotFound."""
        try:
            return await self._own.read(JOBS + name, Job)
        except NotFound as error:
            raise NotFound(f"there is no job {name}: `ccs reconcile list` shows them") from error

    async def progress(self, name: str) -> Progress:
        """How far it is; at the beginning where no process has taken it."""
        return await value_at(self._own, PROGRESS + name, Progress, Progress())

    async def find(self, name: str) -> Known:
        """The job and its progress. NotFound."""
        return Known(await self.job(name), await self.progress(name))

    async def jobs(self, kind: str = "") -> list[Known]:
        """All that are remembered, of one kind or of all, the newest first."""
        found = await self._own.values(JOBS, Job)
        of_kind = [job for job in found if kind in {"", job.kind}]
        newest = sorted(of_kind, key=lambda job: job.created, reverse=True)
        return [Known(job, await self.progress(job.id)) for job in newest]

    async def want(self, name: str, wanted: Wanted) -> Job:
        """Let it pause, go on, or end; one that failed goes on where it was. NotFound, Refused."""
        progress = (await self.find(name)).progress
        if progress.standing.is_end:
            if (progress.standing, wanted) != (Standing.FAILED, Wanted.RUN):
                raise Refused(f"the job {name} is {progress.standing}: start another one")
            await self._own.put(PROGRESS + name, replace(progress, standing=Standing.WAITING))
        while True:
            found = await self._own.find(JOBS + name)
            job = replace(found.value(Job), wanted=wanted)
            try:
                await self._own.put(JOBS + name, job, condition=Precondition(match=found.etag))
            except PreconditionFailed:
                continue
            await self._own.put(ACTIVE + name, milliseconds())
            return job

    async def active(self) -> list[str]:
        """Jobs that are not at their end."""
        return [found.name.removeprefix(ACTIVE) for found in await self._own.under(ACTIVE)]

    async def save(self, name: str, progress: Progress) -> None:
        """Write down how far it is; one that is at its end is not active any more."""
        await self._own.put(PROGRESS + name, progress)
        if progress.standing.is_end:
            await self._own.drop(ACTIVE + name)

    async def tell(self, name: str, findings: Sequence[Finding], *, behind: int) -> int:
        """Put findings into its report, behind so many chunks; how many chunks they took."""
        found = pieces(findings, CHUNK)
        for number, chunk in enumerate(found, behind):
            await self._own.put(f"{REPORTS}{name}/{number:08d}", chunk)
        return len(found)

    async def report(self, name: str) -> AsyncIterator[list[Finding]]:
        """All findings, chunk by chunk. NotFound."""
        await self.job(name)
        chunks = (await self.progress(name)).chunks
        for number in range(chunks):
            yield await self._own.read(f"{REPORTS}{name}/{number:08d}", list[Finding])

    async def forget(self, name: str) -> None:
        """Drop a job that is at its end, and its report. NotFound, Refused."""
        known = await self.find(name)
        if not known.progress.standing.is_end:
            raise Refused(f"the job {name} is {known.progress.standing}: cancel it first")
        await self._drop(known)

    async def _drop(self, known: Known) -> None:
        for number in range(known.progress.chunks):
            await self._own.drop(f"{REPORTS}{known.job.id}/{number:08d}")
        await self._own.drop(PROGRESS + known.job.id)
        await self._own.drop(JOBS + known.job.id)

    async def _forget_oldest(self, kind: str, *, scheduled: bool) -> None:
        """Reports are not kept for ever."""
        kept = KEPT_OF_SCHEDULE if scheduled else KEPT
        alike = [one for one in await self.jobs(kind) if one.job.scheduled == scheduled]
        for known in alike[kept:]:
            if known.progress.standing.is_end:
                await self._drop(known)

    def _work_of(self, job: Job) -> Work:
        work = self._works.get(job.kind)
        if work:
            return work
        kinds = ", ".join(sorted(self._works))
        raise Refused(
            self._absent.get(job.kind, f"there is no kind of job {job.kind}: there are {kinds}")
        )


def new_id(kind: str, now: int) -> str:
    """One that says what it is of, and when it was ordered."""
    return f"{kind}-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
