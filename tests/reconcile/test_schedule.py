"""What recurs, over a real state: one process starts what is due, and nothing that still runs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from backends.clock import milliseconds
from backends.errors import Refused
from backends.state.sqlite import SQLiteState
from reconcile.jobs.ledger import Ledger
from reconcile.jobs.progress import Progress
from reconcile.jobs.schedule import Recurring, Schedule
from reconcile.jobs.work import Checkpoint, Job, Standing, Step
from replication.documents import OWN, Documents

EVERY = 0.2


class Ordered:
    """Work that nobody runs; it may refuse its orders."""

    kind = "work"
    refuses = False

    async def check(self, job: Job) -> None:
        if self.refuses:
            raise Refused(f"{job.id} has nothing to do")

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        yield Step(checkpoint, job.kind)


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[SQLiteState]:
    found = SQLiteState.open(tmp_path / "state.db", site="here", durable=False)
    await Documents(found, OWN).prepare()
    yield found
    await found.close()


async def started(ledger: Ledger, count: int) -> list[Job]:
    """The jobs, when there are so many."""
    async with asyncio.timeout(20):
        while len(known := await ledger.jobs()) < count:
            await asyncio.sleep(0.01)
    return [one.job for one in known]


async def test_what_is_due_is_started_once_and_again_when_it_has_ended(state: SQLiteState) -> None:
    own, work = Documents(state, OWN), Ordered()
    ledger = Ledger(own, {work.kind: work})
    recurring = [Recurring(work.kind, EVERY, {"deep": True}, dry_run=True)]
    began = milliseconds()
    tasks = [asyncio.create_task(Schedule(state, own, ledger, recurring).run()) for _ in range(3)]
    (first,) = await started(ledger, 1)
    await ledger.start(work.kind, {})
    await ledger.save(first.id, Progress(Standing.DONE))
    second, other, _ = await started(ledger, 3)
    for task in tasks:
        task.cancel()

    assert first.created - began >= EVERY * 1000 / 2
    assert (first.scheduled, first.order, first.dry_run) == (True, {"deep": True}, True)
    assert second.created - first.created >= EVERY * 1000
    assert not other.scheduled


async def test_what_refuses_is_asked_again(state: SQLiteState) -> None:
    own, work = Documents(state, OWN), Ordered()
    work.refuses = True
    ledger = Ledger(own, {work.kind: work})
    task = asyncio.create_task(
        Schedule(state, own, ledger, [Recurring(work.kind, EVERY, {})]).run()
    )
    await asyncio.wait({task}, timeout=2 * EVERY)
    assert await ledger.jobs() == []
    work.refuses = False

    assert len(await started(ledger, 1)) == 1
    task.cancel()
