"""`ccs site dead-letters`: changes that a site did not take, however often they were sent."""

from typing import Annotated, Final

import typer
from rich.table import Table

from s3proxy.cli.connected import connected
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import cell, out

COLUMNS: Final = ("bucket", "key", "event", "version", "attempts", "since", "reason")
Name = Annotated[str, typer.Argument(help="The site that did not take them.")]
Bucket = Annotated[str, typer.Option(help="Only this bucket's.")]
Key = Annotated[str, typer.Option(help="Only this object's.")]

commands: Final = typer.Typer(help="See to what a site did not take.", no_args_is_help=True)


@commands.command("list")
@connected
def list_dead_letters(
    remote: Remote,
    name: Name,
) -> None:
    """List what was given up for a site."""
    table = Table(*COLUMNS)
    for letter in remote.get("sites", name, "dead-letters")["dead_letters"]:
        table.add_row(*(cell(letter[column]) for column in COLUMNS))
    out.print(table)


@commands.command("retry")
@connected
def retry_dead_letters(
    remote: Remote,
    name: Name,
    bucket: Bucket = "",
    key: Key = "",
) -> None:
    """Send them once more: all, a bucket's, or one object's."""
    chosen = {"bucket": bucket, "key": key}
    count = remote.post("sites", name, "dead-letters", "retry", body=chosen)["count"]
    out.print(f"{count} arrived.")


@commands.command("drop")
@connected
def drop_dead_letters(
    remote: Remote,
    name: Name,
    bucket: Annotated[str, typer.Option(help="The object's bucket.")],
    key: Annotated[str, typer.Option(help="The object's key.")],
) -> None:
    """Forget one: the site never gets this change, unless the object changes again."""
    count = remote.delete("sites", name, "dead-letters", bucket=bucket, key=key)["count"]
    out.print(f"{count} dropped.")
