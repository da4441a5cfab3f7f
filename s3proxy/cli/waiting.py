"""`ccs buffer`: writes that wait on this machine for a storage."""

import asyncio
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from s3proxy import buffers
from s3proxy.cli.terminal import Config, Data, out
from s3proxy.config import load
from s3proxy.storages import buffer_folders

commands: Final = typer.Typer(help="See what waits for a storage.", no_args_is_help=True)
COLUMNS: Final = ("storage", "bucket", "key", "kind", "bytes", "age", "attempts", "last error")


@commands.command("list")
def list_buffer(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    limit: Annotated[int, typer.Option(help="Entries of each storage, oldest first.")] = 1000,
    config: Config = None,
    data: Data = None,
) -> None:
    """List the writes that wait here for a storage that does not take them."""
    settings = load(config, {"storage.data": data})
    found = asyncio.run(buffers.read(dict(buffer_folders(settings)), limit))
    if as_json:
        out.print_json(data=found)
        return
    table = Table(*COLUMNS)
    for storage, told in found.items():
        for one in told["waiting"]:
            age = f"{one['age_seconds']:.0f} s"
            place = (storage, one["bucket"], one["key"], one["kind"], str(one["size"]), age)
            table.add_row(*map(escape, place), str(one["attempts"]), escape(one["error"]))
        out.print(f"{storage}: {told['entries']} writes, {told['bytes']} bytes", markup=False)
    out.print(table)
