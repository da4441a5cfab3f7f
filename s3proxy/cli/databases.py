"""`ccs db`: the schema of the database that keeps the state."""

import asyncio
from typing import Final

import typer

from backends.state.schema import SchemaStatus
from s3proxy.app import prepared
from s3proxy.cli.terminal import Config, Data, out
from s3proxy.config import load
from s3proxy.states import database_of

BEHIND: Final = 3

commands: Final = typer.Typer(help="Look after the state's database.", no_args_is_help=True)


@commands.command("status")
def status_command(config: Config = None, data: Data = None) -> None:
    """Say which schema the database has; exit with 3 where this program wants another one."""
    settings = load(config, {"storage.data": data})
    found = asyncio.run(database_of(settings).status(settings))
    out.print(sentence(found))
    if not found.current:
        raise typer.Exit(BEHIND)


@commands.command("migrate")
def migrate_command(config: Config = None, data: Data = None) -> None:
    """Bring the database to the schema of this program; nothing to do is no error."""
    settings = load(config, {"storage.data": data})
    prepared(settings.storage.data)
    out.print(sentence(asyncio.run(database_of(settings).migrate(settings))))


def sentence(status: SchemaStatus) -> str:
    """The status, and what to do about it."""
    if status.newer:
        return f"schema {status.found}, newer than this program's {status.wanted}: run a newer ccs"
    if status.current:
        return f"schema {status.found}, which is this program's"
    return f"schema {status.found} of {status.wanted}: run ccs db migrate, or start a gateway"
