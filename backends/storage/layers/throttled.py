"""Bytes in and out of a storage, no faster than allowed."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from backends.storage.layers.flowing import Flow
from backends.storage.layers.forwarding import Forwarding
from backends.storage.protocol import Fetched, ObjectStore, Source, Stored

BURST_SECONDS: Final = 1.0
Sleep = Callable[[float], Awaitable[None]]


class Rate:
    """So many bytes a second, shared by all who spend: each waits for what it takes.

    A second's worth may be saved up. 0 is no limit.
    """

    def __init__(
        self,
        bytes_per_second: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._now = now
        self._sleep = sleep
        self._paid_until = now() - BURST_SECONDS

    def change(self, bytes_per_second: int) -> None:
        """Be another rate from now on, for all who spend later."""
        self._rate = bytes_per_second

    async def spend(self, size: int) -> None:
        """Wait until so many bytes may pass; who came earlier goes first."""
        if not self._rate:
            return
        now = self._now()
        self._paid_until = max(self._paid_until, now - BURST_SECONDS) + size / self._rate
        if self._paid_until > now:
            await self._sleep(self._paid_until - now)


class Throttled(Forwarding):
    """Lets bodies into and out of the storage at the given rates."""

    def __init__(self, inner: ObjectStore, *, inward: Rate, outward: Rate) -> None:
        super().__init__(inner)
        self._in = inward
        self._out = outward

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        return await super().put(bucket, key, Flow(source, self._slowed), replacing=replacing)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        return await super().put_part(bucket, key, upload, number, Flow(source, self._slowed))

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        body = await super().get(bucket, key, locator, start=start, length=length)
        return self._slowly(body)

    async def fetch(self, bucket: str, key: str) -> Fetched:
        stored, body = await super().fetch(bucket, key)
        return Fetched(stored, self._slowly(body))

    async def _slowed(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for block in blocks:
            await self._in.spend(len(block))
            yield block

    async def _slowly(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(body):
            async for block in body:
                await self._out.spend(len(block))
                yield block
