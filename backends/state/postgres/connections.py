"""Connections to one PostgreSQL, held open and used in turns: a statement, a transaction."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from backends.errors import Busy, Unavailable
from backends.state.postgres.errors import LOST, UNDONE, neutral_errors
from backends.state.postgres.options import PostgresOptions

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
TRIES: Final = 4
CLOSE_SECONDS: Final = 5

# Every statement of ours is served by an index. The planner, who would rather scan a table that
# was small when it last looked, is told so: a plan is then the same whatever a table holds.
PLANNING: Final = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


class Connections:
    """Raises only `backends.errors`. What is broken is replaced when it is next needed.

    Where a connection breaks under a write, Unavailable leaves open whether it was done.
    """

    def __init__(self, options: PostgresOptions) -> None:
        options.require_usable()
        self._options = options
        self._place = options.place
        self._idle: deque[Connection] = deque()
        self._room = asyncio.Semaphore(options.connections)

    async def read(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of one statement that changes nothing; asked again where a connection broke."""
        try:
            return await self._fetch(sql, arguments)
        except Unavailable as error:
            if not isinstance(error.__cause__, LOST) or isinstance(error.__cause__, TimeoutError):
                raise
        return await self._fetch(sql, arguments)

    async def write(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of one statement, durable. A cancelled caller is told so once it has ended.

        Busy where it met others again and again.
        """
        return await to_its_end(self.batch(sql, *arguments))

    async def batch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """As `write`, for a caller whom nobody cancels."""
        for _ in range(TRIES - 1):
            try:
                return await self._fetch(sql, arguments)
            except Unavailable as error:
                if not isinstance(error.__cause__, UNDONE):
                    raise
        return await self._fetch(sql, arguments)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        """A connection for the block alone. Errors that leave the block are neutral."""
        await self._enter()
        try:
            with neutral_errors(self._place):
                connection = await self._take()
                try:
                    yield connection
                except LOST:
                    connection.terminate()
                    raise
                finally:
                    self._idle.append(connection)
        finally:
            self._room.release()

    async def close(self) -> None:
        """Wait until none is in use, then let go of all."""
        for _ in range(self._options.connections):
            await self._room.acquire()
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.close(timeout=CLOSE_SECONDS)
            except (*LOST, asyncpg.PostgresError):
                connection.terminate()

    async def _fetch(self, sql: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        async with self.one() as connection:
            return await connection.fetch(sql, *arguments)

    async def _enter(self) -> None:
        """Wait for room, but not longer than a statement may take."""
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(self._options.command_seconds):
                await self._room.acquire()
        except TimeoutError as error:
            count = self._options.connections
            raise Busy(f"{self._place}: all {count} connections are in use") from error

    async def _take(self) -> Connection:
        """The one that was used last and still lives, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        options = self._options
        settings = {
            "application_name": "ccs",
            "search_path": f'"{options.schema}"',
            "lock_timeout": f"{options.command_seconds * 500:.0f}ms",
            **PLANNING,
        }
        connection = await asyncpg.connect(
            options.url,
            timeout=options.connect_seconds,
            command_timeout=options.command_seconds,
            server_settings=settings,
            target_session_attrs=SessionAttribute.read_write,
        )
        await connection.execute(DURABLE if options.durable else FAST)
        return connection


# A server may be set to lose the last writes of a crash: then it is not what was asked for.
DURABLE: Final = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
FAST: Final = "SET synchronous_commit = off"


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns. A caller that is cancelled is told so once the work has ended."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
