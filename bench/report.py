"""Results for people (a Markdown table of medians) and for programs (JSON, every run)."""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bench.measure import Run
from bench.target import MIB

ABSENT: Final = "-"
Figure = Callable[[Run], float | None]
COLUMNS: Final[Mapping[str, Figure]] = {
    "req/s": lambda run: run.rate,
    "MB/s": lambda run: run.megabytes or None,
    "p50 ms": lambda run: run.p50,
    "p99 ms": lambda run: run.p99,
    "CPU us": lambda run: run.server_cpu,
}
RATIOS: Final[Mapping[str, Figure]] = {
    "rate ratio": lambda run: run.rate,
    "CPU ratio": lambda run: run.server_cpu,
}


@dataclass(frozen=True, slots=True)
class Report:
    """All runs of one benchmark; `peaks` are bytes by target. The table has a line a work."""

    command: str
    targets: Sequence[str]
    runs: Sequence[Run]
    peaks: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": self.command,
            "machine": {
                "cpus": os.cpu_count(),
                "kernel": platform.release(),
                "python": platform.python_version(),
            },
            "peak_bytes": dict(self.peaks),
            "runs": [asdict(run) for run in self.runs],
        }

    def as_markdown(self) -> str:
        lines = self._heading()
        for work, concurrency in dict.fromkeys((run.work, run.concurrency) for run in self.runs):
            lines += self._lines(work, concurrency)
        return "\n".join([*lines, "", *(f"- {remark}" for remark in self._remarks())])

    def _heading(self) -> list[str]:
        cells = ["work", "connections"]
        cells += [f"{name} {column}" for name in self.targets for column in COLUMNS]
        if len(self.targets) == 2:
            cells += RATIOS
        return [_row(cells), f"|---|{'---:|' * (len(cells) - 1)}"]

    def _lines(self, work: str, concurrency: int) -> list[str]:
        by_target = list(self._runs(work, concurrency).values())
        cells = [median_of(runs, figure) for runs in by_target for figure in COLUMNS.values()]
        if len(by_target) == 2:
            cells += [
                median_ratio(by_target[0], by_target[1], figure) for figure in RATIOS.values()
            ]
        return [_row([work, str(concurrency), *cells])]

    def _runs(self, work: str, concurrency: int) -> dict[str, list[Run]]:
        """The runs of a work, by target."""
        of_work = [run for run in self.runs if (run.work, run.concurrency) == (work, concurrency)]
        return {name: [run for run in of_work if run.target == name] for name in self.targets}

    def _remarks(self) -> list[str]:
        remarks = [
            f"Peak memory of {name}: {peak / MIB:.0f} MiB" for name, peak in self.peaks.items()
        ]
        others = [run.others_cpu for run in self.runs if run.others_cpu is not None]
        if others:
            remarks.append(f"Programs beside the test used {statistics.median(others):.2f} CPUs")
        remarks += [
            f"{run.target}: {run.work}, {run.concurrency} connections: {run.errors} errors, first "
            f"{run.first_error}"
            for run in self.runs
            if run.errors
        ]
        return remarks


@dataclass(frozen=True, slots=True)
class ByTarget(Report):
    """The same of many targets: a line for each, and its rate against that of the yardsticks."""

    yardsticks: Sequence[str]

    def _heading(self) -> list[str]:
        rates = [f"rate / {name}" for name in self.yardsticks]
        cells = ["work", "connections", "target", *COLUMNS, *rates]
        return [_row(cells), f"|---|---:|---|{'---:|' * (len(cells) - 3)}"]

    def _lines(self, work: str, concurrency: int) -> list[str]:
        by_target = self._runs(work, concurrency)
        return [
            _row([work, str(concurrency), name, *self._cells(runs, by_target)])
            for name, runs in by_target.items()
        ]

    def _cells(self, runs: Sequence[Run], by_target: Mapping[str, Sequence[Run]]) -> list[str]:
        rate = COLUMNS["req/s"]
        return [
            *(median_of(runs, figure) for figure in COLUMNS.values()),
            *(median_ratio(runs, by_target[name], rate) for name in self.yardsticks),
        ]


def median_of(runs: Sequence[Run], figure: Figure) -> str:
    """The median over rounds; absent where a figure was not to be had."""
    values = [value for run in runs if (value := figure(run)) is not None]
    return _written(statistics.median(values)) if values else ABSENT


def median_ratio(first: Sequence[Run], second: Sequence[Run], figure: Figure) -> str:
    """The first by the second in each round, then the median of these."""
    pairs = [(figure(one), figure(other)) for one, other in zip(first, second, strict=True)]
    ratios = [one / other for one, other in pairs if one and other]
    return f"{statistics.median(ratios):.2f}" if ratios else ABSENT


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
