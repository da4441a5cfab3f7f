"""`ccs migrate`: buckets moved from one storage to another while they are used."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from backends.errors import NotFound
from s3proxy.cli.connected import connected
from s3proxy.cli.jobs import Bytes, Detach, Objects, followed, in_words, started
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out
from s3proxy.config import ConfigError
from s3proxy.first_key import OWNER

Bucket = Annotated[str, typer.Argument(help="The bucket's name.")]
FIELDS: Final = ("bucket", "source", "target", "phase", "job")

commands: Final = typer.Typer(help="Move buckets between storages.", no_args_is_help=True)


@commands.command("start")
@connected
def start(
    remote: Remote,
    to: Annotated[str, typer.Option("--to", help="The storage's name in the settings.")],
    bucket: Annotated[str, typer.Argument(help="The bucket's name.")] = "",
    source: Annotated[
        str,
        typer.Option("--from", help="Where it lies, if only that storage knows; alone: move all."),
    ] = "",
    owner: Annotated[
        str, typer.Option(help="Whose a bucket will be that only its storage knows.")
    ] = OWNER,
    objects_per_second: Objects = 0,
    bytes_per_second: Bytes = 0,
    detach: Detach = False,
) -> None:
    """Begin: new objects go to the new storage at once, the others are copied behind them.

    Exit code 4 where something could not be copied.
    """
    if not bucket and not source:
        raise ConfigError("name a bucket, or with --from the storage whose buckets are to move")
    body = {
        "bucket": bucket,
        "source": source,
        "target": to,
        "owner": owner,
        "objects_per_second": objects_per_second,
        "bytes_per_second": bytes_per_second,
    }
    for migration in remote.post("migrations", body=body)["migrations"]:
        out.print(f"{migration['bucket']} moves to {migration['target']}.", markup=False)
        if not detach:
            followed(remote, remote.get("jobs", migration["job"]), detach=False)


@commands.command("status")
@connected
def status(
    remote: Remote,
    bucket: Annotated[str, typer.Argument(help="The bucket's name; all if left out.")] = "",
) -> None:
    """Show how far migrations are."""
    if bucket:
        out.print(_table(remote, [remote.get("migrations", bucket)]))
    else:
        out.print(_table(remote, remote.get("migrations")["migrations"]))


@commands.command("cutover")
@connected
def cut_over(
    remote: Remote,
    bucket: Bucket,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave in the old storage what is there.")
    ] = False,
    detach: Detach = False,
) -> None:
    """Make it final: what the old storage still has of the bucket is removed."""
    migration = remote.post("migrations", bucket, "cutover", body={"keep": keep})
    followed(remote, remote.get("jobs", migration["job"]), detach=detach)


@commands.command("verify")
@connected
def verify(
    remote: Remote,
    bucket: Bucket,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every object and compare its digest.")
    ] = False,
    objects_per_second: Objects = 0,
    bytes_per_second: Bytes = 0,
    detach: Detach = False,
) -> None:
    """Ask the storage that the bucket moved to for every object. Exit code 4: some are wrong.

    Then the migration is at `copying` again, unless the cut-over was before.
    """
    job = started(
        remote,
        "migrate",
        {"bucket": bucket, "deep": deep},
        objects_per_second=objects_per_second,
        bytes_per_second=bytes_per_second,
    )
    followed(remote, job, detach=detach)


@commands.command("rollback")
@connected
def roll_back(
    remote: Remote,
    bucket: Bucket,
    detach: Detach = False,
) -> None:
    """Bring the bucket back, with all that was written meanwhile; possible until the cut-over."""
    migration = remote.post("migrations", bucket, "rollback")
    followed(remote, remote.get("jobs", migration["job"]), detach=detach)


def _table(remote: Remote, migrations: Iterable[Any]) -> Table:
    table = Table("bucket", "from", "to", "phase", "job", "")
    for migration in migrations:
        fields = [escape(migration[name]) for name in FIELDS]
        table.add_row(*fields, escape(_progress(remote, migration["job"])))
    return table


def _progress(remote: Remote, job: str) -> str:
    """What the job does; "" where it is forgotten by now."""
    try:
        return in_words(remote.get("jobs", job)) if job else ""
    except NotFound:
        return ""
