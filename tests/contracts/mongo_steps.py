"""Stores on MongoDB whose calls to the server a test can stop, end and look at, one by one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

from pymongo import MongoClient

from backends.errors import BackendError, Unavailable
from backends.state.mongo import MongoState
from backends.state.mongo.connection import Collection, Connection
from backends.state.protocol import StateStore
from tests.contracts.state_stores import Processes, Wall, mongo_options

BEFORE_NONE: Final = 1_000_000
MOST_STEPS: Final = 60
T = TypeVar("T")

Work = Callable[[StateStore], Coroutine[Any, Any, T]]


class Call(NamedTuple):
    """A call to the server: of which collection, which verb, with what."""

    collection: str
    verb: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@dataclass
class Steps:
    """Counts the calls of a store; before the one of number `stop` it waits to be let on.

    So it does before each call of the kind `before`: of which collection, which verb. The answer to
    the one of number `lost` does not arrive.
    """

    stop: int = BEFORE_NONE
    lost: int = BEFORE_NONE
    before: tuple[str, str] = ("", "")
    calls: list[Call] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _on: asyncio.Event = field(default_factory=asyncio.Event)

    async def around(self, call: Call, made: Callable[[], Awaitable[Any]]) -> Any:
        """Make the call, when it is its turn."""
        number = len(self.calls)
        self.calls.append(call)
        if number == self.stop or self.before == (call.collection, call.verb):
            self.stopped.set()
            await self._on.wait()
            self._on.clear()
        answer = await made()
        if number == self.lost:
            raise Unavailable("the connection was lost")
        return answer

    def go_on(self, *, to: int = BEFORE_NONE) -> None:
        """Let it on, to its end or to another step."""
        self.stop = to
        self.stopped.clear()
        self._on.set()


class Stepped:
    """A collection that tells each call to `Steps` before it makes it."""

    def __init__(self, collection: Collection, name: str, steps: Steps) -> None:
        self._collection = collection
        self._name = name
        self._steps = steps

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        called = getattr(self._collection, verb)

        async def call(*arguments: Any, **options: Any) -> Any:
            made = partial(called, *arguments, **options)
            return await self._steps.around(Call(self._name, verb, arguments, options), made)

        return call


class SteppedConnection(Connection):
    """A connection of stepped collections."""

    steps: Steps

    def collection(self, name: str) -> Collection:
        return cast("Collection", Stepped(super().collection(name), name, self.steps))


@asynccontextmanager
async def stepped(folder: Path, wall: Wall, steps: Steps) -> AsyncIterator[MongoState]:
    """A store of a process of its own, over a database that is migrated already."""
    connection = SteppedConnection(mongo_options(folder))
    connection.steps = steps
    try:
        yield MongoState(connection, "here", wall)
    finally:
        await connection.close()


async def run_to_stop(steps: Steps, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start the work; return when it is stopped, or has ended before."""
    task = asyncio.create_task(work)
    await until_stop(steps, task)
    return task


async def until_stop(steps: Steps, task: asyncio.Task[Any]) -> None:
    """Return when the task is stopped, or has ended before."""
    stopped = asyncio.create_task(steps.stopped.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()


async def outcome(work: Awaitable[object]) -> object:
    """What it answers, or the kind of error it raises."""
    try:
        return await work
    except BackendError as error:
        return type(error)


async def beside(
    processes: Processes, stop: int, slow: Work[object], quick: Awaitable[object]
) -> tuple[object, object, bool]:
    """How both end where the slow one is stopped before a step until the quick one is done.

    And whether the slow one had that many steps.
    """
    steps = Steps(stop)
    async with stepped(processes.folder, processes.wall, steps) as other:
        task = await run_to_stop(steps, outcome(slow(other)))
        was_stopped = steps.stopped.is_set()
        ended = await outcome(quick)
        steps.go_on()
        return await task, ended, was_stopped


async def killed(processes: Processes, stop: int, work: Work[object]) -> bool:
    """Let a process do so many steps, then kill it; False if it was done by then."""
    steps = Steps(stop)
    async with stepped(processes.folder, processes.wall, steps) as other:
        task = await run_to_stop(steps, outcome(work(other)))
        return task.cancel()


async def stored(processes: Processes, collection: str) -> list[dict[str, Any]]:
    """All documents of a collection, as they are."""
    options = mongo_options(processes.folder)
    client: MongoClient[dict[str, Any]]
    with MongoClient(options.url) as client:
        return list(client[options.database][collection].find())
