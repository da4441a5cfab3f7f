"""Measured runs, one at a time; targets take turns and so meet the same weather of the machine."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.load import Outcome, run_load
from bench.process import ProcessTree, machine_cpu_seconds
from bench.works import Stage, Work


@dataclass(frozen=True, slots=True)
class Subject:
    """A target as it is measured; `server` is None where its processes are not on this machine.

    `behind` is a server that works for it: its CPU time is neither the target's nor others'.
    """

    stage: Stage
    server: ProcessTree | None
    behind: ProcessTree | None = None

    @property
    def name(self) -> str:
        return self.stage.target.name


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run. `others_cpu` is the machine's CPU time that was neither ours, a second."""

    work: str
    concurrency: int
    round: int
    target: str
    requests: int
    errors: int
    first_error: str
    seconds: float
    rate: float
    megabytes: float
    p50: float
    p99: float
    server_cpu: float | None
    client_cpu: float
    others_cpu: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How often, how long and at which concurrencies works are measured."""

    works: Sequence[Work]
    rounds: int
    seconds: float
    concurrencies: Sequence[int] | None = None

    def lines(self) -> Iterator[tuple[Work, int]]:
        for work in self.works:
            for concurrency in work.concurrencies:
                if self.concurrencies is None or concurrency in self.concurrencies:
                    yield work, concurrency


def measured(plan: Plan, subjects: Sequence[Subject], tell: Callable[[Run], None]) -> list[Run]:
    """Run the plan over the subjects in turns; every other round starts with the last one."""
    runs = []
    for work, concurrency in plan.lines():
        for subject in subjects:
            subject.stage.prepare(work.seed)
        for number in range(plan.rounds):
            for subject in subjects if number % 2 == 0 else reversed(subjects):
                run = measured_once(subject, work, concurrency, number, plan.seconds)
                tell(run)
                runs.append(run)
    return runs


def measured_once(
    subject: Subject, work: Work, concurrency: int, number: int, seconds: float
) -> Run:
    script = work.script(subject.stage, seconds)
    before = CpuTimes.now(subject)
    outcome = run_load(subject.stage.target, script.requests, concurrency, seconds)
    spent = CpuTimes.now(subject).since(before)
    subject.stage.remove(work.seed, script.leaves(outcome.requests + outcome.errors))
    return _run(subject.name, work, concurrency, number, outcome, spent)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of CPU time of the server, of what is behind it, of this process, of the machine."""

    server: float | None
    behind: float
    client: float
    machine: float

    @classmethod
    def now(cls, subject: Subject) -> "CpuTimes":
        used = subject.server.cpu_seconds() if subject.server is not None else None
        behind = subject.behind.cpu_seconds() if subject.behind is not None else 0.0
        return cls(used, behind, time.process_time(), machine_cpu_seconds())

    def since(self, earlier: "CpuTimes") -> "CpuTimes":
        server = None
        if self.server is not None and earlier.server is not None:
            server = self.server - earlier.server
        return CpuTimes(
            server,
            self.behind - earlier.behind,
            self.client - earlier.client,
            self.machine - earlier.machine,
        )


def _run(
    target: str, work: Work, concurrency: int, number: int, outcome: Outcome, spent: CpuTimes
) -> Run:
    count = max(outcome.requests, 1)
    server = spent.server
    others = None
    if server is not None:
        others = max(0.0, spent.machine - spent.client - spent.behind - server)
    return Run(
        work=work.name,
        concurrency=concurrency,
        round=number,
        target=target,
        requests=outcome.requests,
        errors=outcome.errors,
        first_error=outcome.first_error,
        seconds=round(outcome.seconds, 4),
        rate=round(outcome.rate, 1),
        megabytes=round(outcome.rate * work.size / 1e6, 1),
        p50=round(outcome.percentile(50), 3),
        p99=round(outcome.percentile(99), 3),
        server_cpu=None if server is None else round(server / count * 1e6, 1),
        client_cpu=round(spent.client / count * 1e6, 1),
        others_cpu=None if others is None else round(others / outcome.seconds, 2),
    )
