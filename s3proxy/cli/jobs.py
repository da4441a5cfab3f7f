"""Jobs at the terminal: ordered, followed to their end, told."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from backends.errors import Refused
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import cell, errors, out, plain

LOOK_SECONDS: Final = 0.3
ENDS: Final = frozenset({"done", "failed", "cancelled"})
DIFFERENT: Final = 4

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Report what would be done, and change nothing.")
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Do not wait for the end; `ccs reconcile show` tells.")
]
Objects = Annotated[
    float, typer.Option("--objects-per-second", min=0, help="At the most; 0: no limit.")
]
Bytes = Annotated[float, typer.Option("--bytes-per-second", min=0, help="At most; 0: no limit.")]


def started(
    remote: Remote,
    kind: str,
    order: Mapping[str, Any],
    *,
    dry_run: bool = False,
    objects_per_second: float = 0,
    bytes_per_second: float = 0,
) -> Any:
    """The job that was ordered; what the kind does not need to know is left out of the order."""
    body = {
        "kind": kind,
        "order": {name: value for name, value in order.items() if value not in (None, "", [], ())},
        "dry_run": dry_run,
        "objects_per_second": objects_per_second,
        "bytes_per_second": bytes_per_second,
    }
    return remote.post("jobs", body=body)


def followed(remote: Remote, job: Any, *, detach: bool) -> None:
    """Show the job until it rests, and how it ended.

    Exit codes: 0 all is alike or done, 4 there are differences. Refused where it failed.
    """
    if detach:
        out.print(job["id"], markup=False)
        return
    ended(at_rest(remote, job))


def ended(job: Any) -> None:
    """Tell how a job ended, by exit code too."""
    tell(job)
    require_done(job)
    if job["outcome"] == "differences":
        raise typer.Exit(DIFFERENT)


def require_done(job: Any) -> None:
    """Return if the job did not fail. Refused."""
    if job["standing"] == "failed":
        raise Refused(
            f"{job['id']} failed: {plain(job['error'])}; `ccs reconcile resume {job['id']}` goes on"
        )


def tell(job: Any) -> None:
    """A summary for people."""
    out.print(f"{job['id']}: {in_words(job)}", markup=False)
    if job["findings"]:
        out.print(counted(job))


def in_words(job: Any) -> str:
    """Where it stands, in a line."""
    words = [job["standing"]]
    if job["dry_run"]:
        words.append("dry run, nothing changed")
    if job["outcome"]:
        words.append(job["outcome"])
    if job["phase"] and job["standing"] != "done":
        total = "" if job["total"] is None else f" of {job['total']}"
        words.append(f"{job['phase']}: {job['done']}{total} objects, {job['rate']:.0f}/s")
    if job["moved"]:
        words.append(f"{decimal(job['moved'])} moved")
    if job["error"]:
        words.append(plain(job["error"]))
    return ", ".join(words)


def counted(job: Any) -> Table:
    """How many lines the report has, by class, and how what was done went."""
    table = Table("class or result", "objects")
    for name, count in [*sorted(job["findings"].items()), *sorted(job["results"].items())]:
        table.add_row(escape(name), f"{count}")
    return table


def finding_row(finding: Any) -> list[str]:
    """A finding as a table shows it."""
    names = ("kind", "bucket", "key", "site", "action", "result", "detail")
    return [cell(finding.get(name, "")) for name in names]


def at_rest(remote: Remote, job: Any) -> Any:
    """The job when it does not go on by itself, shown live meanwhile."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    quiet = not errors.is_terminal
    with Progress(*columns, console=errors, transient=True, disable=quiet) as progress:
        task = progress.add_task(job["id"], total=None)
        while not _rests(job):
            time.sleep(LOOK_SECONDS)
            last, job = job, remote.get("jobs", job["id"])
            if quiet and job["error"] not in {"", last["error"]}:
                errors.print(f"{job['id']} waits: {plain(job['error'])}", markup=False)
            described = f"{escape(job['phase'] or job['standing'])} {cell(job['error'])}"
            progress.update(task, description=described, completed=job["done"], total=job["total"])
    return job


def _rests(job: Any) -> bool:
    """Whether it does not go on; one that was resumed just now still says that it is paused."""
    paused = (job["standing"], job["wanted"]) == ("paused", "pause")
    return paused or job["standing"] in ENDS
