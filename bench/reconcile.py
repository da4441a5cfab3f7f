"""`python -m bench.reconcile`: what it costs to find how two sites differ.

Two sites run as processes of their own. This process compares the state of one with the other's
site listener, as the first one would: seconds, exchanges, bytes both ways with all headers, and how
much CPU both took, and how much their memory grew at the peak.
"""

import asyncio
import gc
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import typer

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.model import Bucket
from backends.state.postgres import PostgresOptions
from backends.state.protocol import StateStore
from bench.process import ProcessTree
from bench.rows import Filled, PostgresSchema, SqliteFile, row_of
from bench.sites import SECRET, SQLITE, Site, pair
from bench.target import MIB
from reconcile.comparison.compare import compare
from reconcile.comparison.holders import Holder, StateHolder
from replication.client import Link, SiteClient
from replication.federation import identity_in
from replication.wire import Caller, LinkOptions

ROWS: Final = [1_000, 10_000, 100_000, 1_000_000]
DIFFERENCES: Final = [0, 1, 100, 10_000, 100_000]
WRITERS: Final = 64
HOUR: Final = 3_600_000
TEMPORARY: Final = Path(tempfile.gettempdir())
HEAD: Final = (
    "| state | rows | differences | found | seconds | CPU here, there | exchanges | KiB"
    " | memory here, there, MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class Ground:
    """Two states with the same rows, and the way from the first site to the second."""

    kind: str
    here: StateStore
    there: StateStore
    client: SiteClient
    process: ProcessTree
    places: tuple[Filled, Filled]


@dataclass(frozen=True)
class Found:
    """What one comparison took; the memory is how much more there was at its peak, in bytes."""

    unlike: int
    seconds: float
    cpu: tuple[float, ...]
    exchanges: int
    size: int
    here: int
    there: int


async def found(ground: Ground, bucket: str) -> Found:
    """Compare the bucket from its first key to its last."""
    traffic = ground.client.traffic
    processes = (ProcessTree((os.getpid(),)), ground.process)
    gc.collect()
    for process in processes:
        process.forget_peak()
    resident = [process.resident_bytes() for process in processes]
    exchanges, size = traffic.exchanges, traffic.sent + traffic.received
    holders: list[Holder] = [ground.client]
    cpu = [process.cpu_seconds() for process in processes]
    unlike, began = 0, time.perf_counter()
    async for page in compare(
        StateHolder(ground.here),
        holders,
        bucket,
        before=milliseconds() + HOUR,
        buried_since=0,
    ):
        unlike += len(page.unlike)
    seconds = time.perf_counter() - began
    here, there = (
        process.peak_bytes() - before for process, before in zip(processes, resident, strict=True)
    )
    return Found(
        unlike,
        seconds,
        tuple(process.cpu_seconds() - used for process, used in zip(processes, cpu, strict=True)),
        traffic.exchanges - exchanges,
        traffic.sent + traffic.received - size,
        here,
        there,
    )


async def make_different(ground: Ground, bucket: str, rows: int, first: int, end: int) -> None:
    """Change rows there, evenly spread; of each three one is changed, one deleted, one is new."""

    async def change(number: int) -> None:
        place = number * rows // max(end, 1)
        row = row_of(bucket, place, later=HOUR + number, deleted=number % 3 == 1)
        await ground.there.commit(row, None)

    await bounded(change, range(first, end), at_once=WRITERS)


async def tell_curve(ground: Ground, rows: int, differences: list[int]) -> None:
    """One bucket of so many rows, with more and more differences."""
    bucket = f"rows-{rows}"
    for state, place in zip((ground.here, ground.there), ground.places, strict=True):
        await state.create_bucket(Bucket(bucket, "bench", 0))
        await place.fill(bucket, rows)
    for before, count in pairwise([0, *differences]):
        if count <= rows:
            await make_different(ground, bucket, rows, before, count)
            tell(ground.kind, f"{rows:,}", f"{count:,}", await found(ground, bucket))


async def tell_empty(ground: Ground, rows: int) -> None:
    """A bucket that is full at one site and empty at the other."""
    for side, full in zip(("here", "there"), reversed(ground.places), strict=True):
        bucket = f"empty-{side}"
        for state in (ground.here, ground.there):
            await state.create_bucket(Bucket(bucket, "bench", 0))
        await full.fill(bucket, rows)
        told = await found(ground, bucket)
        tell(ground.kind, f"{rows:,}", f"empty {side}", told)
        print(f"planned {told.unlike / told.seconds:,.0f} rows/s", flush=True)


def tell(kind: str, rows: str, differences: str, told: Found) -> None:
    print(
        f"| {kind} | {rows} | {differences} | {told.unlike:,} | {told.seconds:.2f} |"
        f" {', '.join(f'{used:.2f}' for used in told.cpu)} |"
        f" {told.exchanges} | {told.size / 1024:,.1f} |"
        f" {told.here / MIB:.0f}, {told.there / MIB:.0f} |",
        flush=True,
    )


@asynccontextmanager
async def grounded(kind: str, places: tuple[Filled, Filled], west: Site) -> AsyncIterator[Ground]:
    here, there = await places[0].open("east"), await places[1].open("west")
    link = Link(Caller("east", await identity_in(here), SECRET), LinkOptions())
    try:
        client = link.to("west", west.endpoint)
        yield Ground(kind, here, there, client, west.process, places)
    finally:
        await link.close()
        await here.close()
        await there.close()


async def measured(
    kind: str,
    places: tuple[Filled, Filled],
    west: Site,
    rows: list[int],
    differences: list[int],
    empty: int,
) -> None:
    async with grounded(kind, places, west) as ground:
        for count in rows:
            await tell_curve(ground, count, differences)
        if empty:
            await tell_empty(ground, empty)


def settings_of(options: PostgresOptions) -> Mapping[str, str]:
    return {
        "STATE__KIND": "postgres",
        "STATE__POSTGRES__URL": options.url,
        "STATE__POSTGRES__SCHEMA_NAME": options.schema,
    }


def main(
    folder: Annotated[Path, typer.Option(help="Where the sites keep their files.")] = TEMPORARY,
    postgres: Annotated[str, typer.Option(help="postgresql://..., for the benchmark.")] = "",
    rows: Annotated[list[int] | None, typer.Option(help="Of a bucket; repeatable.")] = None,
    differences: Annotated[list[int] | None, typer.Option(help="Repeatable, rising.")] = None,
    empty: Annotated[int, typer.Option(help="Rows of a bucket that one site lacks.")] = 200_000,
) -> None:
    """Measure comparisons of two sites of this machine."""
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        home = Path(name)
        places: tuple[Filled, Filled] = (
            SqliteFile(home / "east" / "state.db"),
            SqliteFile(home / "west" / "state.db"),
        )
        kind, states = "SQLite", SQLITE
        if postgres:
            schema = f"bench_{secrets.token_hex(4)}"
            east, west = (
                PostgresOptions(postgres, schema=f"{schema}_{side}") for side in ("east", "west")
            )
            places = (PostgresSchema(east), PostgresSchema(west))
            kind, states = "PostgreSQL", {"east": settings_of(east), "west": settings_of(west)}
        with pair(home, "none", states) as (_, other):
            asyncio.run(
                measured(kind, places, other, rows or ROWS, differences or DIFFERENCES, empty)
            )


if __name__ == "__main__":
    typer.run(main)
