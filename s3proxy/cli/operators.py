"""`ccs operator`: the keys of operators, on the state itself: no server need run."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.table import Table

from backends.state.protocol import StateStore
from s3proxy.admin.operators import Issued, Operator
from s3proxy.administration import operators_of
from s3proxy.cli.grounds import with_state
from s3proxy.cli.terminal import Config, Data, out
from s3proxy.config import load

SECOND: Final = 1000

commands: Final = typer.Typer(
    help="Manage the keys of operators, who administer sites.", no_args_is_help=True
)


@commands.command("create")
def create_operator(
    name: Annotated[str, typer.Argument(help="What to call the operator.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Add an operator, and print the key: it is not shown again."""
    settings = load(config, {"storage.data": data})

    async def create(state: StateStore) -> Issued:
        return await (await operators_of(settings, state)).create(name)

    out.print(with_state(settings, create).key, markup=False)


@commands.command("list")
def list_operators(config: Config = None, data: Data = None) -> None:
    """List all operators; their keys are kept as digests alone."""
    settings = load(config, {"storage.data": data})

    async def every(state: StateStore) -> list[Operator]:
        return await (await operators_of(settings, state)).every()

    table = Table("operator", "since")
    for operator in with_state(settings, every):
        since = datetime.fromtimestamp(operator.created / SECOND, UTC)
        table.add_row(operator.name, f"{since:%Y-%m-%d %H:%M}")
    out.print(table)


@commands.command("remove")
def remove_operator(name: str, config: Config = None, data: Data = None) -> None:
    """Refuse an operator's key from now on; running servers notice within a second."""
    settings = load(config, {"storage.data": data})

    async def remove(state: StateStore) -> None:
        await (await operators_of(settings, state)).remove(name)

    with_state(settings, remove)
    out.print(f"{name} is no operator any more.", markup=False)
