"""How far a job has come: figures that each step adds to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from reconcile.jobs.work import Finding, Outcome, Standing, Step

SECOND = 1000


class Progress(Struct, frozen=True, omit_defaults=True):
    """Where a job stands; written by the process that runs it, step by step.

    `done`, `moved` and `total` are of the `phase` that began at `since`. `findings` counts the
    report's lines by class, `results` by how the action went. The report has `lines` in `chunks`.
    `error` says what it failed of, or waits for. Times are in milliseconds, 0 for not yet.
    """

    standing: Standing = Standing.WAITING
    phase: str = ""
    checkpoint: dict[str, Any] = {}
    done: int = 0
    moved: int = 0
    total: int | None = None
    findings: dict[str, int] = {}
    results: dict[str, int] = {}
    lines: int = 0
    chunks: int = 0
    started: int = 0
    since: int = 0
    updated: int = 0
    ended: int = 0
    outcome: Outcome | None = None
    error: str = ""

    @property
    def rate(self) -> float:
        """Objects per second in this phase."""
        spent = self.updated - self.since
        return self.done * SECOND / spent if spent > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Of this phase, where that can be told."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate


def with_step(progress: Progress, step: Step, now: int, *, chunks: int) -> Progress:
    """The figures with a step more, whose findings took so many chunks of the report."""
    same = step.phase == progress.phase
    return replace(
        progress,
        phase=step.phase,
        checkpoint=dict(step.checkpoint),
        done=step.done + (progress.done if same else 0),
        moved=step.moved + (progress.moved if same else 0),
        total=step.total if step.total is not None else progress.total if same else None,
        since=progress.since if same else progress.updated or now,
        findings=_counted(progress.findings, [one.kind for one in step.findings]),
        results=_counted(progress.results, [one.result for one in step.findings if one.result]),
        lines=progress.lines + len(step.findings),
        chunks=progress.chunks + chunks,
        outcome=step.outcome or progress.outcome,
        updated=now,
        error="",
    )


def pieces(findings: Sequence[Finding], size: int) -> list[Sequence[Finding]]:
    """The findings in chunks of that many at most."""
    return [findings[at : at + size] for at in range(0, len(findings), size)]


def _counted(before: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(before) + Counter(names))
