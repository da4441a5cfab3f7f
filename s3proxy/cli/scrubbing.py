"""`ccs scrub`: this site's state compared with its own storages."""

from enum import StrEnum
from typing import Annotated

import typer

from s3proxy.cli.jobs import Bytes, Detach, DryRun, Objects, followed, started
from s3proxy.cli.remote import LOCAL, OperatorKey, Server, remote_of
from s3proxy.cli.terminal import Config, Data


class Unknown(StrEnum):
    """What is done about bytes that no row names."""

    REPORT = "report"
    ADOPT = "adopt"
    REMOVE = "remove"


def scrub(
    bucket: Annotated[list[str] | None, typer.Option(help="Names or patterns. [all]")] = None,
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
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Find lost, unknown and changed bytes; restore them from other sites. Exit code 4: some left.

    See `ccs reconcile report` for what was found.
    """
    remote = remote_of(server, operator_key, config, data)
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
