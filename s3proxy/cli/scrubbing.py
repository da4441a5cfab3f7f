"""`ccs scrub`: this site's state compared with its own storages."""

from enum import StrEnum
from typing import Annotated

import typer

from s3proxy.cli.connected import connected
from s3proxy.cli.jobs import Bytes, Detach, DryRun, Objects, followed, started
from s3proxy.cli.remote import Remote


class Unknown(StrEnum):
    """What is done about bytes that no row names."""

    REPORT = "report"
    ADOPT = "adopt"
    REMOVE = "remove"


@connected
def scrub(
    remote: Remote,
    bucket: Annotated[
        list[str] | None, typer.Option(help="Names or patterns; all if left out.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Only objects whose keys begin so.")] = "",
    deep: Annotated[
        bool, typer.Option("--deep", help="Read all bytes, and compare their digests.")
    ] = False,
    unknown: Annotated[
        Unknown, typer.Option(help="Bytes that no row names; only our own leftovers are removed.")
    ] = Unknown.REPORT,
    dry_run: DryRun = False,
    objects_per_second: Objects = 0,
    bytes_per_second: Bytes = 0,
    detach: Detach = False,
) -> None:
    """Find lost, unknown and changed bytes; restore them from other sites. Exit code 4: some left.

    See `ccs reconcile report` for what was found.
    """
    order = {"buckets": bucket, "prefix": prefix, "deep": deep, "unknown": unknown.value}
    job = started(
        remote,
        "scrub",
        order,
        dry_run=dry_run,
        objects_per_second=objects_per_second,
        bytes_per_second=bytes_per_second,
    )
    followed(remote, job, detach=detach)
