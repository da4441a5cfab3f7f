"""`ccs reconcile`: sites made alike, and the jobs that do it and all other long work."""

import json
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from s3proxy.cli.connected import connected
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
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out
from s3proxy.config import ConfigError

commands: Final = typer.Typer(
    help="Make sites alike while traffic goes on; see to jobs.", no_args_is_help=True
)
Job = Annotated[str, typer.Argument(help="The job's id, as `ccs reconcile list` shows it.")]
SHOWN: Final = 1000


@commands.command("start")
@connected
def start(
    remote: Remote,
    bucket: Annotated[
        list[str] | None, typer.Option(help="Names or patterns; all if left out.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Only objects whose keys begin so.")] = "",
    site: Annotated[
        list[str] | None, typer.Option(help="With these sites; all if left out.")
    ] = None,
    storage: Annotated[
        str, typer.Option(help="With a plain storage of the settings, instead of sites.")
    ] = "",
    storage_bucket: Annotated[
        str, typer.Option(help="What the bucket is called in that storage; as here if left out.")
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            help="Only this site's objects go out; without: the newest version, both ways."
            " With --storage it is `here` or `storage`."
        ),
    ] = "",
    max_deletes: Annotated[
        int, typer.Option(min=0, help="Change nothing where more objects would be deleted.")
    ] = 1000,
    dry_run: DryRun = False,
    objects_per_second: Objects = 0,
    bytes_per_second: Bytes = 0,
    detach: Detach = False,
) -> None:
    """Compare this site with others and make all alike; exit code 0: alike, 4: differences."""
    common = {"prefix": prefix, "source": source, "max_deletes": max_deletes}
    if storage:
        kind, order = "mirror", _with_storage(bucket, site, storage, storage_bucket)
    elif storage_bucket:
        raise ConfigError("--storage-bucket is a bucket of a --storage: name that, too")
    else:
        kind, order = "reconcile", {"buckets": bucket, "sites": site}
    job = started(
        remote,
        kind,
        {**order, **common},
        dry_run=dry_run,
        objects_per_second=objects_per_second,
        bytes_per_second=bytes_per_second,
    )
    followed(remote, job, detach=detach)


def _with_storage(
    buckets: list[str] | None, sites: list[str] | None, storage: str, storage_bucket: str
) -> dict[str, Any]:
    """What to order of one bucket and a plain storage. ConfigError."""
    if sites or not buckets or len(buckets) > 1:
        raise ConfigError("with --storage name one --bucket and no --site")
    return {"bucket": buckets[0], "storage": storage, "storage_bucket": storage_bucket}


@commands.command("status")
@connected
def status(
    remote: Remote,
    site: Annotated[str, typer.Option(help="Only this site.")] = "",
) -> None:
    """Show which buckets are in sync with which sites, and when that was verified."""
    table = Table("site", "bucket", "standing", "verified")
    for one in remote.get("in-sync", site=site)["buckets"]:
        count = one["differences"]
        standing = f"{count} keys differ" if count else "in sync"
        table.add_row(escape(one["site"]), escape(one["bucket"]), standing, one["verified"])
    out.print(table)


@commands.command("list")
@connected
def list_jobs(
    remote: Remote,
    kind: Annotated[str, typer.Option(help="Only that kind.")] = "",
) -> None:
    """List the jobs that are remembered, the newest first."""
    table = Table()
    table.add_column("job", no_wrap=True)
    table.add_column("standing")
    for job in remote.get("jobs", kind=kind)["jobs"]:
        table.add_row(escape(job["id"]), escape(in_words(job)))
    out.print(table)


@commands.command("show")
@connected
def show(
    remote: Remote,
    job: Job,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
) -> None:
    """Show how far a job is; exit code 4: it found differences."""
    found = remote.get("jobs", job)
    if wait:
        followed(remote, found, detach=False)
    else:
        ended(found)


@commands.command("pause")
@connected
def pause(
    remote: Remote,
    job: Job,
) -> None:
    """Let a job stop after its current step, until it is resumed."""
    tell(remote.post("jobs", job, "pause"))


@commands.command("resume")
@connected
def resume(
    remote: Remote,
    job: Job,
    detach: Detach = False,
) -> None:
    """Let a job that is paused, or that failed, go on where it was."""
    followed(remote, remote.post("jobs", job, "resume"), detach=detach)


@commands.command("cancel")
@connected
def cancel(
    remote: Remote,
    job: Job,
) -> None:
    """Let a job end after its current step; what it has done stays."""
    tell(remote.post("jobs", job, "cancel"))


@commands.command("forget")
@connected
def forget(
    remote: Remote,
    job: Job,
) -> None:
    """Forget a job that has ended, and its report."""
    remote.delete("jobs", job)
    out.print(f"{job} is forgotten.", markup=False)


@commands.command("report")
@connected
def report(
    remote: Remote,
    job: Job,
    ndjson: Annotated[
        bool, typer.Option("--ndjson", help="All of it, one JSON object a line, for programs.")
    ] = False,
) -> None:
    """Show what a job found, and what it did about it."""
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
