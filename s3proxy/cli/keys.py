"""`ccs key`: the keys of clients."""

from typing import Annotated, Final

import typer
from msgspec.structs import replace
from rich.table import Table

from backends.model import AccessKey
from backends.state.protocol import StateStore
from s3proxy.cli.grounds import with_state
from s3proxy.cli.terminal import Config, Data, out
from s3proxy.config import ConfigError, Settings, load
from s3proxy.first_key import new_key

commands: Final = typer.Typer(help="Manage the keys of clients.", no_args_is_help=True)


@commands.command("create")
def create_key(
    owner: Annotated[str, typer.Option(help="The client; buckets it makes belong to it.")],
    access_key: Annotated[str, typer.Option(help="A key of your own; made up if left out.")] = "",
    secret_key: Annotated[str, typer.Option(help="The secret that goes with it.")] = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Add a key for a client, and print it: the secret is not shown again."""
    key = new_key(owner, access_key, secret_key)

    async def add(state: StateStore) -> None:
        if key.access_key in {known.access_key for known in await state.keys()}:
            raise ConfigError(f"the access key {key.access_key} exists already")
        await state.put_key(key)

    with_state(load(config, {"storage.data": data}), add)
    out.print(f"aws_access_key_id = {key.access_key}", markup=False)
    out.print(f"aws_secret_access_key = {key.secret_key}", markup=False)


@commands.command("list")
def list_keys(config: Config = None, data: Data = None) -> None:
    """List all keys and their owners, without their secrets."""
    table = Table("access key", "owner", "enabled")
    settings = load(config, {"storage.data": data})
    for key in with_state(settings, lambda state: state.keys()):
        table.add_row(key.access_key, key.owner, "yes" if key.enabled else "no")
    out.print(table)


@commands.command("disable")
def disable_key(access_key: str, config: Config = None, data: Data = None) -> None:
    """Refuse a key from now on; its buckets and objects stay."""
    switch(access_key, load(config, {"storage.data": data}), enabled=False)


@commands.command("enable")
def enable_key(access_key: str, config: Config = None, data: Data = None) -> None:
    """Accept a disabled key again."""
    switch(access_key, load(config, {"storage.data": data}), enabled=True)


def switch(access_key: str, settings: Settings, *, enabled: bool) -> None:
    """Enable or disable a key; running servers notice within a second."""

    async def change(state: StateStore) -> AccessKey:
        key = replace(await state.key(access_key), enabled=enabled)
        await state.put_key(key)
        return key

    key = with_state(settings, change)
    out.print(f"{key.access_key} of {key.owner} is {'enabled' if enabled else 'disabled'}.")
