"""A storage that a test can have fail, and a buffer around it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backends.errors import BackendError
from backends.model import Bucket, Facts, Version
from backends.storage.layers.buffered import Buffered, BufferOptions
from backends.storage.layers.forwarding import Forwarding
from backends.storage.layers.watched import Watched
from backends.storage.memory import MemoryStore
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.source import BytesSource

BUCKET = "photos"
Sleep = Callable[[float], Awaitable[None]]


class Faults:
    """A frame that raises `error` in its place, and holds writes back while `open` is not set."""

    def __init__(self) -> None:
        self.error: BackendError | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.calls: list[str] = []

    @asynccontextmanager
    async def call(self, verb: str) -> AsyncIterator[None]:
        self.calls.append(verb)
        if self.error:
            raise self.error
        yield

    @asynccontextmanager
    async def carry(self, verb: str) -> AsyncIterator[None]:
        async with self.call(verb):
            await self.open.wait()
            yield

    async def inward(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for block in blocks:
            yield block

    def outward(self, _: str, blocks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        return blocks


class Wall:
    """Both clocks of a buffer, in seconds."""

    seconds = 1_000_000.0

    def milliseconds(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class Lasting(Forwarding):
    """A storage that outlives who opens it."""

    async def close(self) -> None:
        """It stays."""


class House:
    """A storage, and a buffer in a folder, opened anew as often as need be."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.wall = Wall()
        self.faults = Faults()
        self.storage: ObjectStore = MemoryStore(keeps_replaced=False)
        self.options = BufferOptions(folder, **{"durable": False, **options})
        self.stamps = 0
        self.store = self.opened()

    def opened(self, sleep: Sleep = asyncio.sleep) -> Buffered:
        """Another process's view of the same folder."""
        return Buffered(
            Watched(Lasting(self.storage), self.faults),
            self.options,
            now=self.wall.milliseconds,
            monotonic=self.wall.monotonic,
            sleep=sleep,
        )

    async def again(self) -> None:
        """End, and start again, over the storage that stays."""
        await self.store.close()
        self.store = self.opened()

    def facts(self, **more: Any) -> Facts:
        self.stamps += 1
        return Facts(Version(self.stamps, "here"), **more)

    async def put(self, key: str, data: bytes, replacing: str | None = None) -> Stored:
        source = BytesSource(data, self.facts(size=len(data)))
        return await self.store.put(BUCKET, key, source, replacing=replacing)

    async def get(self, key: str, locator: str = "") -> bytes:
        return await read(self.store, key, locator)

    async def keys(self, prefix: str = "", after: str = "", most: int | None = None) -> list[str]:
        listing = self.store.listing(BUCKET, prefix=prefix, after=after, most=most)
        return [stored.key async for stored in listing]


async def read(store: ObjectStore, key: str, locator: str = "") -> bytes:
    body = await store.get(BUCKET, key, locator)
    return b"".join([block async for block in body])


async def build(folder: Path, **options: Any) -> House:
    house = House(folder, **options)
    await house.store.create_bucket(Bucket(BUCKET, "ann", 1))
    return house
