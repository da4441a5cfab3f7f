"""What tests of the PostgreSQL store do to its server, behind the store's back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from backends.state.postgres import PostgresOptions


async def tell(options: PostgresOptions, *statements: str) -> None:
    """Run each statement for itself, in the schema of the options."""
    async with session(options) as connection:
        for statement in statements:
            await connection.execute(statement)


async def ask(options: PostgresOptions, question: str) -> object:
    async with session(options) as connection:
        return await connection.fetchval(question)


@asynccontextmanager
async def session(
    options: PostgresOptions,
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    settings = {"search_path": f'"{options.schema}"'}
    connection = await asyncpg.connect(options.url, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


class Wire:
    """A way to the server that can be cut once the server has answered."""

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        self._there = (there.hostname, there.port)
        self._path = there.path
        self._cut = False
        self.port = 0

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}{self._path}"

    @asynccontextmanager
    async def laid(self) -> AsyncIterator["Wire"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    def cut_at_next_answer(self) -> None:
        """What is asked next is done, and its answer lost with the connection."""
        self._cut = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._there)
        with contextlib.suppress(OSError):
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, there_writer, answers=False))
                both.create_task(self._pass(there_reader, writer, answers=True))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await reader.read(65536):
            if answers and self._cut:
                self._cut = False
                break
            writer.write(data)
            await writer.drain()
        writer.close()
