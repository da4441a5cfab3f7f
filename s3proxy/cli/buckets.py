"""`ccs bucket`: buckets as all sites share them, over the operators' API of any of them."""

from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from s3proxy.cli.connected import connected
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out
from s3proxy.config import ConfigError

Name = Annotated[str, typer.Argument(help="The bucket's name.")]
PAGE: Final = 1000
NOTHING: Final = {
    "home": "as each site does",
    "remote_read": "as each site does",
    "expire_days": "never by age",
    "archive_to": "nowhere",
}

commands: Final = typer.Typer(help="Look after buckets.", no_args_is_help=True)


@commands.command("list")
@connected
def list_buckets(
    remote: Remote,
) -> None:
    """List the buckets of all owners."""
    table = Table("bucket", "owner", "created", "storage")
    page = remote.get("buckets")
    while True:
        for bucket in page["buckets"]:
            names = ("name", "owner", "created", "storage")
            table.add_row(*(escape(bucket[name]) for name in names))
        if page["next"] is None:
            break
        page = remote.get("buckets", after=page["next"])
    out.print(table)


@commands.command("show")
@connected
def show_bucket(
    remote: Remote,
    name: Name,
) -> None:
    """Show what is known of a bucket."""
    for field, value in remote.get("buckets", name).items():
        out.print(f"{field}: {value}", markup=False)


@commands.command("set")
@connected
def set_bucket(
    remote: Remote,
    name: Name,
    home: Annotated[
        str | None,
        typer.Option(help='The site that decides on conditional writes; "": each for itself.'),
    ] = None,
    remote_read: Annotated[
        str | None,
        typer.Option(help='What is missing: off, read or restore; "": as each site does.'),
    ] = None,
    expire_days: Annotated[
        float | None,
        typer.Option(help="Days after which its objects expire; 0: not by their age.", min=0),
    ] = None,
    archive_to: Annotated[
        str | None,
        typer.Option(help='The bucket that objects are copied to before they expire; "": none.'),
    ] = None,
) -> None:
    """Change a bucket at all sites: how they share it, when its objects expire."""
    given: dict[str, Any] = {
        "home": home,
        "remote_read": remote_read,
        "expire_days": expire_days,
        "archive_to": archive_to,
    }
    change = {field: value for field, value in given.items() if value is not None}
    if not change:
        raise ConfigError("say what to set: --home, --remote-read, --expire-days, --archive-to")
    bucket = remote.patch("buckets", name, body=change)
    for field in change:
        out.print(f"{field}: {bucket[field] or NOTHING[field]}", markup=False)
