"""`ccs site verify`: whether another site holds the same."""

import time
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from backends.errors import Refused
from s3proxy.cli.connected import connected
from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import cell, out

LOOK_SECONDS: Final = 0.2
UNDER_WAY: Final = frozenset({"asked", "running"})
COLUMNS: Final = ("kind", "bucket", "key", "here", "there")
DIFFERENT: Final = 1


@connected
def verify_site(
    remote: Remote,
    name: Annotated[str, typer.Argument(help="The other site.")],
) -> None:
    """Compare all objects with another site's; exit code 0: alike, 1: different."""
    remote.post("sites", name, "verification")
    told = _ended(remote, name)
    if told["standing"] == "failed":
        raise Refused(f"{name} could not be compared: {told['error']}")
    if told["standing"] == "alike":
        amount = f"{told['objects']} objects in {told['buckets']} buckets"
        out.print(f"In sync with {name}, verified at {told['ended']}: {amount}.", markup=False)
        return
    out.print(_table(told["differences"]))
    out.print(f"{told['found']} differences with {name}, at {told['ended']}.", markup=False)
    raise typer.Exit(DIFFERENT)


def _ended(remote: Remote, name: str) -> Any:
    while True:
        told = remote.get("sites", name, "verification")
        if told["standing"] not in UNDER_WAY:
            return told
        time.sleep(LOOK_SECONDS)


def _table(differences: list[Any]) -> Table:
    table = Table(*COLUMNS)
    for one in differences:
        table.add_row(*(cell(one[column]) for column in COLUMNS))
    return table
