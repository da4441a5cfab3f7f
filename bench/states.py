"""`python -m bench.states`: what each state costs, to requests and by itself.

Gateways over local disk, one without state and one for each kind that is named, take turns with
the same requests. Then each store by itself: commits, finds, and pages of a bucket of many keys.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from backends.model import Bucket, Facts, Row, Version
from backends.state.mongo import MongoOptions, MongoState
from backends.state.postgres import PostgresOptions, PostgresState
from backends.state.protocol import StateStore
from backends.state.sqlite import SQLiteState
from bench import servers
from bench.__main__ import chosen, command_line, tell, write
from bench.measure import Plan, Subject, measured
from bench.process import listening_on
from bench.report import ByTarget
from bench.servers import KEY, running
from bench.target import Target
from bench.works import Stage

WORKS: Final = ["HEAD", "GET 4", "PUT 4", "LIST"]
NONE: Final = "none"
BUCKET: Final = "bench"
LEASE: Final = 60_000
PAGE: Final = 1000
WRITERS: Final = 256
PLACES: Final = {"first": 0.0, "middle": 0.5, "last": 0.99}
PostgresUrl = Annotated[str, typer.Option(help="postgresql://..., a database for the benchmark.")]
MongoUrl = Annotated[str, typer.Option(help="mongodb://..., a deployment for the benchmark.")]

commands: Final = typer.Typer(no_args_is_help=True)


@commands.command()
def gateways(
    postgres: PostgresUrl = "",
    mongo: MongoUrl = "",
    rounds: int = 5,
    seconds: Annotated[float, typer.Option(help="Length of each run.")] = 2.0,
    concurrency: Annotated[list[int] | None, typer.Option(help="Connections; repeatable.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for result.json and result.md.")] = Path(),
) -> None:
    """Measure requests through gateways over local disk, by their state."""
    plan = Plan(chosen(WORKS), rounds, seconds, concurrency)
    states: dict[str, dict[str, str]] = {NONE: {}, "sqlite": {}}
    name = f"bench_{secrets.token_hex(4)}"
    if postgres:
        states["postgres"] = {
            "STATE__POSTGRES__URL": postgres,
            "STATE__POSTGRES__SCHEMA_NAME": name,
        }
    if mongo:
        states["mongo"] = {"STATE__MONGO__URL": mongo, "STATE__MONGO__DATABASE": name}
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory()))
        subjects = []
        for kind, settings in states.items():
            command = servers.gateway(home / kind, {"STATE__KIND": kind, **settings})
            held.enter_context(running(command, home / f"{kind}.log"))
            target = Target.at(command.url, KEY, kind)
            subjects.append(Subject(Stage(target), listening_on(command.port)))
            held.callback(subjects[-1].stage.clear)
        runs = measured(plan, subjects, tell)
        write(ByTarget(command_line("bench.states"), list(states), runs, {}, (NONE,)), output)


@commands.command()
def stores(
    postgres: PostgresUrl = "",
    mongo: MongoUrl = "",
    rows: Annotated[int, typer.Option(help="Keys of the bucket that is listed.")] = 1_000_000,
    seconds: Annotated[float, typer.Option(help="Length of each run.")] = 3.0,
) -> None:
    """Measure stores by themselves: this process's time, and its CPU time."""
    asyncio.run(measured_stores(postgres, mongo, rows, seconds))


async def measured_stores(postgres: str, mongo: str, rows: int, seconds: float) -> None:
    name = f"bench_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        opened: dict[str, StateStore] = {
            "sqlite": SQLiteState.open(Path(folder) / "state.db", site="bench")
        }
        if postgres:
            opened["postgres"] = await PostgresState.open(
                PostgresOptions(postgres, schema=name), site="bench"
            )
        if mongo:
            opened["mongo"] = await MongoState.open(MongoOptions(mongo, name), site="bench")
        for kind, state in opened.items():
            await state.create_bucket(Bucket(BUCKET, "bench", 0))
            await commits(kind, state, seconds)
            await pages(kind, state, rows)
            await state.close()


async def commits(kind: str, state: StateStore, seconds: float) -> None:
    """begin and commit of new keys, then finds of them, at several concurrencies."""

    async def commit(number: int) -> None:
        key = f"commit/{number}"
        intent = await state.begin(BUCKET, key, lease=LEASE)
        await state.commit(row_of(key, intent.version), None, intent=intent)

    async def find(number: int) -> None:
        await state.find(BUCKET, f"commit/{number % 100}")

    works: dict[str, Callable[[int], Awaitable[None]]] = {"begin + commit": commit, "find": find}
    for what, work in works.items():
        for tasks in (1, 8, 32):
            print(f"{kind:10} {what:16} {tasks:3} tasks {await rate(work, tasks, seconds)}")


async def rate(work: Callable[[int], Awaitable[None]], tasks: int, seconds: float) -> str:
    """How often a second so many tasks do it, and the CPU time of each."""
    numbers = iter(range(1 << 60))
    began, cpu, until = time.perf_counter(), time.process_time(), time.perf_counter() + seconds
    done = 0

    async def go_on() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await work(next(numbers))
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(go_on())
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return f"{done / took:10,.0f}/s {1e6 * used / max(done, 1):8,.0f} us of CPU"


async def pages(kind: str, state: StateStore, rows: int) -> None:
    """A page of a bucket with so many keys, by its place."""
    numbers = iter(range(rows))

    async def fill() -> None:
        for number in numbers:
            await state.commit(row_of(key_of(number), Version(number + 1, "bench")), None)

    async with asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(fill())
    for place, share in PLACES.items():
        after = key_of(int(rows * share))
        took, used = [], []
        for _ in range(20):
            began, cpu = time.perf_counter(), time.process_time()
            await state.page(BUCKET, prefix="", after=after, limit=PAGE)
            took.append(time.perf_counter() - began)
            used.append(time.process_time() - cpu)
        print(
            f"{kind:10} page of {PAGE} of {rows:,}, {place:6} median"
            f" {1000 * sorted(took)[10]:6.2f} ms, {1000 * sorted(used)[10]:6.2f} ms of CPU"
        )


def key_of(number: int) -> str:
    return f"folder {number // 1000:06}/object {number:09}.jpg"


def row_of(key: str, version: Version) -> Row:
    return Row(BUCKET, key, Facts(version, 4096, "0" * 32, "bench"), "1")


if __name__ == "__main__":
    commands()
