"""Long work: ordered, followed, paused, resumed, cancelled; and what it found."""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from msgspec import json
from pydantic import Field

from reconcile.jobs.ledger import Known, Ledger
from reconcile.jobs.work import Finding, Outcome, Standing, Wanted
from s3proxy.admin.here import Jobs
from s3proxy.admin.resources.models import Asked, Told, moment, moment_or_none

NDJSON: Final = "application/x-ndjson"

router = APIRouter(prefix="/jobs", tags=["jobs"])
LINES: Final = json.Encoder()


class Ordered(Asked):
    """What is to be done; `order` has what the kind of job asks for, see the guide."""

    kind: str
    order: dict[str, Any] = Field(default={})
    dry_run: bool = Field(default=False, description="Report what would be done; change nothing.")
    objects_per_second: float = Field(default=0, ge=0, description="At the most; 0: no limit.")
    bytes_per_second: float = Field(default=0, ge=0, description="At the most; 0: no limit.")


class Job(Told):
    """A job and how far it is. `done`, `moved`, `total` and the rates are of its phase.

    `findings` counts the lines of its report by class, `results` how what was done about them went.
    """

    id: str
    kind: str
    order: dict[str, Any]
    dry_run: bool
    objects_per_second: float
    bytes_per_second: float
    scheduled: bool
    created: datetime
    wanted: Wanted
    standing: Standing
    outcome: Outcome | None
    phase: str
    done: int
    moved: int
    total: int | None
    rate: float
    seconds_left: float | None
    findings: dict[str, int]
    results: dict[str, int]
    lines: int
    started: datetime | None
    ended: datetime | None
    error: str


class JobList(Told):
    """Jobs, the newest first."""

    jobs: list[Job]


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def start_job(ordered: Ordered, jobs: Jobs, response: Response) -> Job:
    """Order a job; it begins in the background."""
    job = await jobs.start(
        ordered.kind,
        ordered.order,
        dry_run=ordered.dry_run,
        objects_per_second=ordered.objects_per_second,
        bytes_per_second=ordered.bytes_per_second,
    )
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return told(await jobs.find(job.id))


@router.get("")
async def list_jobs(
    jobs: Jobs, kind: Annotated[str, Query(description="Only that kind.")] = ""
) -> JobList:
    """All jobs that are remembered."""
    return JobList(jobs=[told(known) for known in await jobs.jobs(kind)])


@router.get("/{job}")
async def get_job(job: str, jobs: Jobs) -> Job:
    """One job."""
    return told(await jobs.find(job))


@router.post("/{job}/pause")
async def pause_job(job: str, jobs: Jobs) -> Job:
    """Let it stop after its current step, to go on when it is resumed."""
    return await _wanted(job, jobs, Wanted.PAUSE)


@router.post("/{job}/resume")
async def resume_job(job: str, jobs: Jobs) -> Job:
    """Let it go on where it was: also one that failed."""
    return await _wanted(job, jobs, Wanted.RUN)


@router.post("/{job}/cancel")
async def cancel_job(job: str, jobs: Jobs) -> Job:
    """Let it end after its current step; what it has done stays."""
    return await _wanted(job, jobs, Wanted.CANCEL)


@router.delete("/{job}", status_code=HTTPStatus.NO_CONTENT)
async def forget_job(job: str, jobs: Jobs) -> None:
    """Forget a job that has ended, and its report."""
    await jobs.forget(job)


@router.get("/{job}/report", response_class=StreamingResponse)
async def get_report(job: str, jobs: Jobs) -> StreamingResponse:
    """What it has found so far: NDJSON, one finding a line."""
    await jobs.job(job)
    return StreamingResponse(_lines(jobs.report(job)), media_type=NDJSON)


async def _lines(chunks: AsyncIterator[list[Finding]]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield b"".join(LINES.encode(finding) + b"\n" for finding in chunk)


async def _wanted(job: str, jobs: Ledger, wanted: Wanted) -> Job:
    await jobs.want(job, wanted)
    return told(await jobs.find(job))


def told(known: Known) -> Job:
    """A job, as the API tells it."""
    job, progress = known
    return Job(
        id=job.id,
        kind=job.kind,
        order=job.order,
        dry_run=job.dry_run,
        objects_per_second=job.objects_per_second,
        bytes_per_second=job.bytes_per_second,
        scheduled=job.scheduled,
        created=moment(job.created),
        wanted=job.wanted,
        standing=progress.standing,
        outcome=progress.outcome,
        phase=progress.phase,
        done=progress.done,
        moved=progress.moved,
        total=progress.total,
        rate=progress.rate,
        seconds_left=progress.seconds_left,
        findings=progress.findings,
        results=progress.results,
        lines=progress.lines,
        started=moment_or_none(progress.started),
        ended=moment_or_none(progress.ended),
        error=progress.error,
    )
