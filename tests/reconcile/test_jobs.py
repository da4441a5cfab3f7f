"""Jobs over a real state: they go on from their checkpoint whatever stops them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from backends.errors import BackendError, Corrupt, NotFound, Refused, Unavailable
from backends.state.protocol import StateStore
from backends.state.sqlite import SQLiteState
from reconcile.jobs import runner as running_module
from reconcile.jobs.ledger import KEPT_OF_SCHEDULE, Ledger
from reconcile.jobs.runner import Runner, seconds_for
from reconcile.jobs.work import Checkpoint, Finding, Job, Outcome, Standing, Step, Wanted
from replication.documents import OWN, Documents
from s3proxy.job_metrics import JobGauges

LAST: Final = 5


@dataclass
class Counting:
    """Counts to LAST, a finding a number; it waits at a gate, and fails where it is told to."""

    kind: str = "count"
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)
    began: list[int] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    async def check(self, job: Job) -> None:
        if job.order.get("to"):
            raise Refused("it counts to 5 alone")

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            async for step in self._count(job.kind, int(checkpoint.get("at", 0))):
                yield step
        finally:
            self.under_way -= 1

    async def _count(self, kind: str, start: int) -> AsyncGenerator[Step, None]:
        self.began.append(start)
        for number in range(start + 1, LAST + 1):
            if number == LAST // 2 + 1:
                await self.gate.wait()
                if self.failures:
                    raise self.failures.pop(0)
            finding = Finding("ODD" if number % 2 else "EVEN", kind, f"{number}", result="seen")
            yield Step({"at": number}, "count", done=1, total=LAST, findings=(finding,))
        yield Step({"at": LAST}, "count", outcome=Outcome.DIFFERENCES)


@dataclass
class Office:
    """A ledger, and the runners of a process."""

    state: StateStore
    work: Counting
    ledger: Ledger
    runners: list[Runner] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, processes: int = 1) -> AsyncIterator[None]:
        works = {self.work.kind: self.work}
        self.runners = [Runner(self.state, self.ledger, works) for _ in range(processes)]
        tasks = [asyncio.create_task(runner.run()) for runner in self.runners]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, job: str, standing: Standing) -> None:
        await self.holds(job, lambda now, _: now is standing)

    async def holds(self, job: str, condition: Callable[[Standing, int], bool]) -> None:
        async with asyncio.timeout(20):
            while True:
                progress = await self.ledger.progress(job)
                if condition(progress.standing, progress.done):
                    return
                await asyncio.sleep(0.01)

    async def lines(self, job: str) -> list[str]:
        return [finding.key async for chunk in self.ledger.report(job) for finding in chunk]


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(running_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(running_module, "FIRST_PAUSE", 0.001)
    state = SQLiteState.open(tmp_path / "state.db", site="here", durable=False)
    own = Documents(state, OWN)
    await own.prepare()
    work = Counting()
    work.gate.set()
    yield Office(state, work, Ledger(own, {work.kind: work}))
    await state.close()


async def test_a_job_runs_to_its_end_and_reports(office: Office) -> None:
    job = await office.ledger.start("count", {})
    async with office.open(), asyncio.timeout(20):
        await office.until(job.id, Standing.DONE)
        while await office.ledger.active():
            await asyncio.sleep(0.01)

    progress = await office.ledger.progress(job.id)
    assert (progress.done, progress.total, progress.lines) == (LAST, LAST, LAST)
    assert progress.findings == {"ODD": 3, "EVEN": 2}
    assert progress.results == {"seen": LAST}
    assert progress.outcome is Outcome.DIFFERENCES
    assert progress.started <= progress.ended
    assert await office.lines(job.id) == ["1", "2", "3", "4", "5"]


async def test_a_process_that_ends_leaves_the_job_to_the_next_one(office: Office) -> None:
    office.work.gate.clear()
    job = await office.ledger.start("count", {})
    async with office.open():
        await office.holds(job.id, lambda _, done: done == LAST // 2)
    office.work.gate.set()
    async with office.open():
        await office.until(job.id, Standing.DONE)

    assert office.work.began == [0, LAST // 2]
    assert await office.lines(job.id) == ["1", "2", "3", "4", "5"]


async def test_of_several_processes_one_runs_a_job(office: Office) -> None:
    office.work.gate.clear()
    job = await office.ledger.start("count", {})
    async with office.open(processes=3):
        await office.holds(job.id, lambda _, done: done == LAST // 2)
        office.work.gate.set()
        await office.until(job.id, Standing.DONE)

    assert (office.work.most, office.work.began) == (1, [0])


async def test_every_process_tells_of_a_job_in_its_metrics(office: Office) -> None:
    office.work.gate.clear()
    job = await office.ledger.start("count", {})
    async with office.open(processes=2), asyncio.timeout(20):
        for runner in office.runners:
            while done_in(runner, job.id) != LAST // 2:
                await asyncio.sleep(0.01)


def done_in(runner: Runner, job: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(JobGauges(lambda: runner.active))
    labels = {"job": job, "kind": "count", "phase": "count"}
    return registry.get_sample_value("ccs_job_objects_done", labels)


async def test_a_paused_job_goes_on_when_it_is_resumed(office: Office) -> None:
    job = await office.ledger.start("count", {}, objects_per_second=0.5)
    async with office.open():
        await office.holds(job.id, lambda _, done: done > 0)
        await office.ledger.want(job.id, Wanted.PAUSE)
        await office.until(job.id, Standing.PAUSED)
        done = (await office.ledger.progress(job.id)).done
        await office.ledger.want(job.id, Wanted.RUN)
        await office.holds(job.id, lambda standing, _: standing is Standing.RUNNING)
        await office.ledger.want(job.id, Wanted.CANCEL)
        await office.until(job.id, Standing.CANCELLED)

    assert done < LAST
    assert office.work.began[1] >= done
    with pytest.raises(Refused, match="start another"):
        await office.ledger.want(job.id, Wanted.RUN)


async def test_a_job_that_was_not_taken_can_be_cancelled_and_forgotten(office: Office) -> None:
    job = await office.ledger.start("count", {})
    with pytest.raises(Refused, match="cancel it first"):
        await office.ledger.forget(job.id)
    await office.ledger.want(job.id, Wanted.CANCEL)
    async with office.open():
        await office.until(job.id, Standing.CANCELLED)
    await office.ledger.forget(job.id)

    assert office.work.began == []
    with pytest.raises(NotFound, match="no job"):
        await office.ledger.find(job.id)


async def test_what_does_not_answer_is_tried_again(office: Office) -> None:
    office.work.failures = [Unavailable("away"), Unavailable("away")]
    job = await office.ledger.start("count", {})
    async with office.open():
        await office.until(job.id, Standing.DONE)

    assert office.work.began == [0, LAST // 2, LAST // 2]
    assert await office.lines(job.id) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    "failures", [[Corrupt("wrong")], [ZeroDivisionError("a bug")], [Unavailable("away")] * 99]
)
async def test_a_job_that_failed_says_why_and_can_go_on(
    office: Office, failures: list[Exception]
) -> None:
    office.work.failures = list(failures)
    job = await office.ledger.start("count", {})
    async with office.open():
        await office.until(job.id, Standing.FAILED)
        error = (await office.ledger.progress(job.id)).error
        office.work.failures.clear()
        await office.ledger.want(job.id, Wanted.RUN)
        await office.until(job.id, Standing.DONE)

    assert str(failures[0]) in error
    assert await office.lines(job.id) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(("kind", "order"), [("other", {}), ("count", {"to": 7})])
async def test_an_order_that_makes_no_sense_is_refused(
    office: Office, kind: str, order: dict[str, int]
) -> None:
    with pytest.raises(BackendError, match=r"there are count|5 alone"):
        await office.ledger.start(kind, order)

    assert await office.ledger.jobs() == []


async def test_of_scheduled_jobs_the_oldest_are_forgotten(office: Office) -> None:
    async with office.open():
        for _ in range(KEPT_OF_SCHEDULE + 2):
            job = await office.ledger.start("count", {}, scheduled=True)
            await office.until(job.id, Standing.DONE)
    one = await office.ledger.start("count", {}, scheduled=True)

    known = await office.ledger.jobs("count")
    assert known[0].job == one
    assert len(known) == KEPT_OF_SCHEDULE
    assert all(newer.job.created >= older.job.created for newer, older in pairwise(known))


@pytest.mark.parametrize(
    ("objects", "bytes_", "seconds"), [(0, 0, 0), (10, 0, 2), (0, 5, 20), (10, 1000, 2)]
)
def test_a_step_takes_as_long_as_its_rates_ask(objects: float, bytes_: float, seconds: int) -> None:
    job = Job("j", "count", 0, objects_per_second=objects, bytes_per_second=bytes_)

    assert seconds_for(job, Step({}, done=20, moved=100)) == seconds
