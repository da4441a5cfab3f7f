"""The command `ccs`: serve S3, check a configuration, manage clients' keys."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from backends.errors import BackendError
from backends.model import AccessKey
from backends.state.protocol import StateStore
from s3proxy import app as gateway
from s3proxy.config import ConfigError, Settings, load
from s3proxy.first_key import FirstKey, first_key, new_key
from s3proxy.metrics import prepare
from s3proxy.server import addresses, listen, raise_file_limit, serve, tls_context

DISTRIBUTION: Final = "clone-cloud-store"
OURS: Final = ("backends", "s3proxy")
USAGE: Final = 2
FAILURE: Final = 1
T = TypeVar("T")

out: Final = Console(highlight=False, soft_wrap=True)
errors: Final = Console(stderr=True, highlight=False, soft_wrap=True)
commands: Final = typer.Typer(
    name="ccs",
    help="An S3 endpoint in front of any storage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys: Final = typer.Typer(help="Manage the keys of clients.", no_args_is_help=True)
commands.add_typer(keys, name="key")

Config = Annotated[
    Path | None,
    typer.Option(help="A TOML file with settings; conf/ccs.toml has them all.", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option(help="The data folder. [default: ./ccs-data]", show_default=False),
]


@commands.command("serve")
def serve_command(
    config: Config = None,
    data: Data = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port for S3. [default: 9000]")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve S3. [default: 1]")
    ] = None,
) -> None:
    """Serve S3 until SIGTERM or Ctrl-C; requests under way are finished first."""
    settings = load(
        config,
        {
            "storage.data": data,
            "server.host": host,
            "server.port": port,
            "server.workers": workers,
        },
    )
    raise_file_limit()
    tls_context(settings)
    first = with_state(settings, lambda state: first_key(state, settings.storage.data))
    listeners = listen(settings)
    if settings.server.workers > 1:
        prepare(settings.storage.data / "metrics")
    (s3_host, s3_port), (_, operations_port) = addresses([listeners.s3, listeners.operations])
    scheme = "https" if settings.tls.certificate else "http"
    greet(first, f"{scheme}://{s3_host}:{s3_port}", operations_port, settings)
    serve(settings, gateway.gateway, listeners)


@commands.command()
def check(config: Config = None, data: Data = None) -> None:
    """Validate a configuration and reach what it names, without serving."""
    settings = load(config, {"storage.data": data})
    tls_context(settings)
    listeners = listen(settings)
    listeners.s3.close()
    listeners.operations.close()
    asyncio.run(reach(settings))
    out.print("The configuration is good, and all that it names can be reached.")


@commands.command("version")
def version_command() -> None:
    """Say which version this is."""
    out.print(f"ccs {version(DISTRIBUTION)}")


@keys.command("create")
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


@keys.command("list")
def list_keys(config: Config = None, data: Data = None) -> None:
    """List all keys and their owners, without their secrets."""
    table = Table("access key", "owner", "enabled")
    settings = load(config, {"storage.data": data})
    for key in with_state(settings, lambda state: state.keys()):
        table.add_row(key.access_key, key.owner, "yes" if key.enabled else "no")
    out.print(table)


@keys.command("disable")
def disable_key(access_key: str, config: Config = None, data: Data = None) -> None:
    """Refuse a key from now on; its buckets and objects stay."""
    switch(access_key, load(config, {"storage.data": data}), enabled=False)


@keys.command("enable")
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


def with_state(settings: Settings, work: Callable[[StateStore], Coroutine[Any, Any, T]]) -> T:
    """What `work` answers of the state store that the settings name."""

    async def run() -> T:
        state = gateway.state_of(settings)
        try:
            return await work(state)
        finally:
            await state.close()

    return asyncio.run(run())


async def reach(settings: Settings) -> None:
    """Open state and storage and ask both whether they answer."""
    state, store = gateway.state_of(settings), gateway.store_of(settings)
    try:
        await state.ping()
        await store.ping()
    finally:
        await store.close()
        await state.close()


def greet(first: FirstKey, endpoint: str, operations_port: int, settings: Settings) -> None:
    """Print where the server is and the lines to paste. A secret is shown once, when it is new."""
    file = first.file.resolve()
    lines = [
        f"Serving S3 at {endpoint}, data in {settings.storage.data.resolve()}",
        f"Metrics and health at http://{settings.server.operations_host}:{operations_port}",
        f"Access key {first.key.access_key}, its secret in {file}",
    ]
    if first.is_new:
        lines += [f"Secret key {first.key.secret_key} (new, and not shown again)"]
    lines += [
        "",
        "aws cli:",
        f"  export AWS_SHARED_CREDENTIALS_FILE={file} AWS_PROFILE=ccs"
        f" AWS_REGION={settings.s3.region}",
        f"  aws --endpoint-url {endpoint} s3 ls",
        "boto3, with the same variables set:",
        f'  s3 = boto3.client("s3", endpoint_url="{endpoint}")',
        "",
    ]
    for line in lines:
        out.print(line, markup=False)
    sys.stdout.flush()


def require_own_packages() -> None:
    """Return if the packages we import are this distribution's alone. ConfigError."""
    found = packages_distributions()
    for package in OURS:
        others = set(found.get(package, [])) - {DISTRIBUTION}
        if others:
            raise ConfigError(
                f"the package {package!r} also belongs to {', '.join(sorted(others))}: "
                "install ccs into an environment of its own"
            )


def main() -> None:
    """Run the command: 0 when it went well, 1 for a failure, 2 for wrong usage or settings."""
    try:
        require_own_packages()
        commands()
    except ConfigError as error:
        errors.print(f"ccs: {error}", markup=False)
        sys.exit(USAGE)
    except (BackendError, OSError) as error:
        errors.print(f"ccs: {error}", markup=False)
        sys.exit(FAILURE)


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "100")
    main()
