"""`ccs reconcile`: sites made alike, and the jobs that do it and all other long work."""

import json
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from s3proxy.cli.jobs import (
    Bytes,
    Detach,
    DryRun,
    Objects,
    ended,
    finding_row,
    followed,
    in_words,
    started,
    tell,
)
from s3proxy.cli.remote import LOCAL, OperatorKey, Server, remote_of
from s3proxy.cli.terminal import Config, Data, out

commands: Final = typer.Typer(
    help="Make sites alike while traffic goes on; see to jobs.", no_args_is_help=True
)
Job = Annotated[str, typer.Argument(help="The job's id, as `ccs reconcile list` shows it.")]
SHOWN: Final = 1000


@commands.command("start")
def start(
    bucket: Annotated[list[str] | None, typer.Option(help="Names or patterns. [all]")] = None,
    prefix: Annotated[str, typer.Option(help="Only objects whose keys begin so.")] = "",
    site: Annotated[list[str] | None, typer.Option(help="With these sites. [all]")] = None,
    source: Annotated[
        str, typer.Option(help="Only this site's objects go out. [newest version, both ways]")
    ] = "",
    max_deletes: Annotated[
        int, typer.Option(min=0, help="Change nothing where more objects would be deleted.")
    ] = 1000,
    dry_run: DryRun = False,
    objects_per_second: Objects = 0,
    bytes_per_second: Bytes = 0,
    detach: Detach = False,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Compare this site with others and make all alike; exit code 0: alike, 4: differences."""
    remote = remote_of(server, operator_key, config, data)
    order: dict[str, Any] = {
        "buckets": bucket,
        "prefix": prefix,
        "sites": site,
        "source": source,
        "max_deletes": max_deletes,
    }
    job = started(
        remote,
        "reconcile",
        order,
        dry_run=dry_run,
        objects_per_second=objects_per_second,
        bytes_per_second=bytes_per_second,
    )
    followed(remote, job, detach=detach)


@commands.command("status")
def status(
    site: Annotated[str, typer.Option(help="Only this site.")] = "",
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Show which buckets are in sync with which sites, and when that was verified."""
    remote = remote_of(server, operator_key, config, data)
    table = Table("site", "bucket", "standing", "verified")
    for one in remote.get("in-sync", site=site)["buckets"]:
        count = one["differences"]
        standing = f"{count} keys differ" if count else "in sync"
        table.add_row(escape(one["site"]), escape(one["bucket"]), standing, one["verified"])
    out.print(table)


@commands.command("list")
def list_jobs(
    kind: Annotated[str, typer.Option(help="Only that kind.")] = "",
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """List the jobs that are remembered, the newest first."""
    remote = remote_of(server, operator_key, config, data)
    table = Table("job", "kind", "created", "standing")
    for job in remote.get("jobs", kind=kind)["jobs"]:
        table.add_row(escape(job["id"]), job["kind"], job["created"], escape(in_words(job)))
    out.print(table)


@commands.command("show")
def show(
    job: Job,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Show how far a job is; exit code 4: it found differences."""
    remote = remote_of(server, operator_key, config, data)
    found = remote.get("jobs", job)
    if wait:
        followed(remote, found, detach=False)
    else:
        ended(found)


@commands.command("pause")
def pause(
    job: Job,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Let a job stop after its current step, until it is resumed."""
    tell(remote_of(server, operator_key, config, data).post("jobs", job, "pause"))


@commands.command("resume")
def resume(
    job: Job,
    detach: Detach = False,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Let a job that is paused, or that failed, go on where it was."""
    remote = remote_of(server, operator_key, config, data)
    followed(remote, remote.post("jobs", job, "resume"), detach=detach)


@commands.command("cancel")
def cancel(
    job: Job,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Let a job end after its current step; what it has done stays."""
    tell(remote_of(server, operator_key, config, data).post("jobs", job, "cancel"))


@commands.command("forget")
def forget(
    job: Job,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Forget a job that has ended, and its report."""
    remote_of(server, operator_key, config, data).delete("jobs", job)
    out.print(f"{job} is forgotten.", markup=False)


@commands.command("report")
def report(
    job: Job,
    ndjson: Annotated[
        bool, typer.Option("--ndjson", help="All of it, one JSON object a line, for programs.")
    ] = False,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Show what a job found, and what it did about it."""
    remote = remote_of(server, operator_key, config, data)
    lines = remote.lines("jobs", job, "report")
    if ndjson:
        for finding in lines:
            typer.echo(json.dumps(finding, ensure_ascii=False))
        return
    tell(remote.get("jobs", job))
    table = Table("class", "bucket", "key", "site", "action", "result", "detail")
    for number, finding in enumerate(lines):
        if number == SHOWN:
            out.print(f"Only the first {SHOWN} lines; --ndjson shows all.")
            break
        table.add_row(*finding_row(finding))
    out.print(table)
