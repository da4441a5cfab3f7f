"""`ccs site dead-letters`: changes that a site did not take, however often they were sent."""

from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from s3proxy.cli.remote import LOCAL, OperatorKey, Server, remote_of
from s3proxy.cli.terminal import Config, Data, out

COLUMNS: Final = ("bucket", "key", "event", "version", "attempts", "since", "reason")
Name = Annotated[str, typer.Argument(help="The site that did not take them.")]
Bucket = Annotated[str, typer.Option(help="Only this bucket's.")]
Key = Annotated[str, typer.Option(help="Only this object's.")]

commands: Final = typer.Typer(help="See to what a site did not take.", no_args_is_help=True)


@commands.command("list")
def list_dead_letters(
    name: Name,
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """List what was given up for a site."""
    remote = remote_of(server, operator_key, config, data)
    table = Table(*COLUMNS)
    for letter in remote.get("sites", name, "dead-letters")["dead_letters"]:
        table.add_row(*(escape(str(letter[column])) for column in COLUMNS))
    out.print(table)


@commands.command("retry")
def retry_dead_letters(
    name: Name,
    bucket: Bucket = "",
    key: Key = "",
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Send them once more: all, a bucket's, or one object's."""
    remote = remote_of(server, operator_key, config, data)
    chosen = {"bucket": bucket, "key": key}
    count = remote.post("sites", name, "dead-letters", "retry", body=chosen)["count"]
    out.print(f"{count} arrived.")


@commands.command("drop")
def drop_dead_letters(
    name: Name,
    bucket: Annotated[str, typer.Option(help="The object's bucket.")],
    key: Annotated[str, typer.Option(help="The object's key.")],
    server: Server = LOCAL,
    operator_key: OperatorKey = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Forget one: the site never gets this change, unless the object changes again."""
    remote = remote_of(server, operator_key, config, data)
    count = remote.delete("sites", name, "dead-letters", bucket=bucket, key=key)["count"]
    out.print(f"{count} dropped.")
