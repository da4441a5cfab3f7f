"""`ccs serve` and `ccs check`."""

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from backends.state.protocol import StateStore
from s3proxy import app as gateway
from s3proxy import events
from s3proxy.administration import operators_of
from s3proxy.cli.grounds import with_state
from s3proxy.cli.terminal import Config, Data, out
from s3proxy.config import Settings, load
from s3proxy.first_key import FirstKey, first_key
from s3proxy.first_operator import first_operator
from s3proxy.listeners import (
    ADMIN,
    OPERATIONS,
    S3,
    SITE,
    Sockets,
    check_tls,
    close,
    listen,
    listeners_of,
)
from s3proxy.metrics import prepare
from s3proxy.server import raise_file_limit, serve

BESIDE: Final = {
    OPERATIONS: "Metrics and health",
    ADMIN: "The operators' API",
    SITE: "S3 to other sites",
}


def serve_command(
    config: Config = None,
    data: Data = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 if left out.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port for S3; 9000 if left out.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve S3; 1 if left out.")
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
    check_tls(settings)
    first, operator_key = with_state(settings, partial(first_keys, settings))
    sockets = listen(settings)
    if settings.server.workers > 1:
        prepare(settings.storage.data / "metrics")
    greet(first, operator_key, urls_of(settings, sockets), settings)
    serve(settings, gateway.gateway, sockets)


async def first_keys(settings: Settings, state: StateStore) -> tuple[FirstKey, Path | None]:
    """The first client's key; the file of the first operator's, where operators have an API."""
    key = await first_key(state, settings.storage.data)
    if not settings.admin.enabled:
        return key, None
    return key, await first_operator(await operators_of(settings, state), settings.storage.data)


def check(config: Config = None, data: Data = None) -> None:
    """Validate a configuration and reach what it names, without serving."""
    settings = load(config, {"storage.data": data})
    check_tls(settings)
    close(listen(settings))
    asyncio.run(reach(settings))
    out.print("The configuration is good, and all that it names can be reached.")


def urls_of(settings: Settings, sockets: Sockets) -> dict[str, str]:
    """Where each listener is reached, by its name."""
    listeners = listeners_of(settings)
    return {name: listeners[name].url(bound) for name, bound in sockets.items()}


def greet(
    first: FirstKey, operator_key: Path | None, urls: Mapping[str, str], settings: Settings
) -> None:
    """Print where the server is and the lines to paste. A secret is shown once, when it is new."""
    file = first.file.resolve()
    endpoint = urls[S3]
    lines = [
        f"Serving S3 at {endpoint}, data in {settings.storage.data.resolve()}",
        *(f"{what} at {urls[name]}" for name, what in BESIDE.items() if name in urls),
        f"Access key {first.key.access_key}, its secret in {file}",
    ]
    if first.is_new:
        lines += [f"Secret key {first.key.secret_key} (new, and not shown again)"]
    if operator_key:
        lines += [f"An operator's key is in {operator_key.resolve()}"]
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


async def reach(settings: Settings) -> None:
    """Open state, storage and event log and ask each whether it answers."""
    async with gateway.opened(settings) as (state, storages):
        await state.ping()
        await storages.store.ping()
        for buffer in storages.buffers.values():
            await buffer.storage.ping()
    await events.check(settings)
