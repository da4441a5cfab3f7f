"""`ccs events`: follow what happens to objects."""

import asyncio
import sys
from typing import Annotated, Final

import typer

from backends.events import records
from backends.state.protocol import StateStore
from s3proxy.app import grounds
from s3proxy.cli.terminal import Config, Data
from s3proxy.config import Settings, load
from s3proxy.events import log_of

commands: Final = typer.Typer(help="Follow what happens to objects.", no_args_is_help=True)


@commands.command("tail")
def tail_command(
    group: Annotated[str, typer.Option(help="What the followers that share the events call it.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Print each change as one line of JSON, an S3 event record, until Ctrl-C.

    Events are kept for the group from its first call on, and come again unless they were printed.
    """
    settings = load(config, {"storage.data": data})
    asyncio.run(tail(settings, group))


async def tail(settings: Settings, group: str) -> None:
    """Print events of the group, each acknowledged once it is out."""
    async with grounds(settings) as (state, _):
        await follow(settings, state, group)


async def follow(settings: Settings, state: StateStore, group: str) -> None:
    """As tail, over an open state."""
    async with log_of(settings, state).subscribe(group) as deliveries:
        async for delivery in deliveries:
            line = records.encode(delivery.event, region=settings.s3.region)
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.flush()
            await delivery.acknowledge()
