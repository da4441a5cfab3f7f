"""`python -m bench.refill`: a job fills a site that lacks everything, beside replication itself.

Both copy as many objects of one size from one site to the other, in turns: a reconciliation (plan,
apply, verify) what a rule kept back, replication what was written during a pause.
"""

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.replication import drained, made, written
from bench.sites import Site, pair, until
from bench.target import KIB

TEMPORARY = Path(tempfile.gettempdir())
YOUNG_SECONDS = 2.5


def main(
    objects: Annotated[int, typer.Option(help="So many objects.")] = 10_000,
    size: Annotated[int, typer.Option(help="Of so many bytes each.")] = 4 * KIB,
    rounds: Annotated[int, typer.Option(help="Rounds, each of both.")] = 3,
    folder: Annotated[Path, typer.Option(help="Where sites may lie meanwhile.")] = TEMPORARY,
) -> None:
    """Measure both in turns."""
    with tempfile.TemporaryDirectory(dir=folder) as home, pair(Path(home), "none") as sites:
        east, west = sites
        for number in range(rounds):
            spent, job = refilled(east, f"refill-{number}", size, objects)
            west.wait_for(f"refill-{number}", objects)
            own = drained(east, west, made(east, f"drain-{number}", west), size, objects)
            report(objects, spent, own, job)


def refilled(east: Site, name: str, size: int, count: int) -> tuple[float, Any]:
    """The seconds that a job takes for what was kept back, and the job."""
    east.call("PUT", "/rules/apart", {"buckets": ["nothing"]})
    made(east, name)
    written(east, name, size, count)
    until(lambda: not any(one["backlog"] for one in east.call("GET", "/status")["targets"]))
    east.call("DELETE", "/rules/apart")
    time.sleep(YOUNG_SECONDS)
    began = time.perf_counter()
    job = east.call("POST", "/jobs", {"kind": "reconcile", "order": {"buckets": [name]}})["id"]
    until(lambda: east.call("GET", f"/jobs/{job}")["standing"] in {"done", "failed"})
    return time.perf_counter() - began, east.call("GET", f"/jobs/{job}")


def report(objects: int, spent: float, own: float, job: Any) -> None:
    rate, replicated = objects / spent, objects / own
    typer.echo(
        f"reconcile {rate:.0f} objects/s ({spent:.1f} s, {job['outcome']}), "
        f"replication {replicated:.0f} objects/s, ratio {rate / replicated:.2f}"
    )


if __name__ == "__main__":
    typer.run(main)
