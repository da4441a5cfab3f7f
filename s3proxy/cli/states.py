"""`ccs state`: whole states, copied into another database or made again from the storage."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from backends.errors import Busy
from backends.state.holding import HeldElsewhere, holding
from backends.state.protocol import StateStore
from backends.state.rebuild import Rebuilt, rebuild
from backends.state.transfer import Tally, Tell, copy_state, every_bucket
from s3proxy.app import grounds, prepared
from s3proxy.cli.terminal import Config, Data, errors, out
from s3proxy.config import Settings, load
from s3proxy.first_key import OWNER
from s3proxy.states import open_state
from s3proxy.workers import RECOVERY

commands: Final = typer.Typer(help="Move or rebuild the state.", no_args_is_help=True)


@commands.command("copy")
def copy_command(
    source: Annotated[Path, typer.Option("--from", help="Settings whose state is read.")],
    target: Annotated[Path, typer.Option("--to", help="Settings whose state is written.")],
) -> None:
    """Copy keys, buckets, objects and uploads into another database, and verify the copy.

    Stop the gateways first. Start it again where it was broken off.
    """
    tallies = asyncio.run(copied(load(source), load(target)))
    for bucket, tally in tallies.items():
        out.print(f"{bucket}: {tally.rows} rows, digest {tally.digest:032x}", markup=False)
    rows = sum(tally.rows for tally in tallies.values())
    out.print(f"{len(tallies)} buckets and {rows} rows are alike in both.")


@commands.command("rebuild")
def rebuild_command(config: Config = None, data: Data = None) -> None:
    """Make the state again from the storage alone: buckets, and objects with their versions.

    Stop the gateways first. Clients' keys are not in the storage: add them with ccs key create.
    """
    found = asyncio.run(rebuilt(load(config, {"storage.data": data})))
    out.print(
        f"{found.buckets} buckets, {found.objects} objects,"
        f" of which no gateway wrote {found.foreign}."
    )


async def copied(source: Settings, target: Settings) -> dict[str, Tally]:
    """Copy from state to state, while no gateway runs on either."""
    prepared(target.storage.data)
    async with opened(source) as read, opened(target) as written:
        names = [bucket.name async for bucket in every_bucket(read)]
        with telling("copying", names) as tell:
            return await copy_state(read, written, tell)


async def rebuilt(settings: Settings) -> Rebuilt:
    """Rebuild, while no gateway runs."""
    async with grounds(settings) as (state, store), alone(state):
        names = sorted([bucket.name async for bucket in store.buckets()])
        with telling("rebuilding", names) as tell:
            return await rebuild(store, state, owner=OWNER, tell=tell)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[StateStore]:
    """The settings' state, ours alone while the block runs. Busy while a gateway runs on it."""
    state = await open_state(settings)
    try:
        async with alone(state):
            yield state
    finally:
        await state.close()


@asynccontextmanager
async def alone(state: StateStore) -> AsyncIterator[None]:
    """Keep gateways' recovery away. Busy where one has looked in lately."""
    try:
        async with holding(state, RECOVERY):
            yield
    except HeldElsewhere as error:
        raise Busy(
            "a gateway runs on this state, or did a minute ago: stop all of them, and try again"
        ) from error


@contextmanager
def telling(verb: str, buckets: Sequence[str]) -> Iterator[Tell]:
    """A bar over the buckets, with the rows of the one at hand, while the block runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    quiet = not errors.is_terminal
    with Progress(*columns, console=errors, transient=True, disable=quiet) as progress:
        bar = progress.add_task(verb, total=len(buckets))

        def tell(bucket: str, rows: int) -> None:
            done = bisect_left(buckets, bucket)
            progress.update(bar, completed=done, description=f"{verb} {bucket}: {rows} rows")

        yield tell
