"""What a storage does, counted: latency, bytes and errors by storage and verb."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from types import TracebackType
from typing import Protocol

from backends.errors import BackendError
from backends.storage.layers.watched import Watched
from backends.storage.pieces import Whole
from backends.storage.protocol import ObjectStore


class Meter(Protocol):
    """Told of what happened. `storage` is the name of one, `error` that of an error's class."""

    def called(self, storage: str, verb: str, seconds: float, error: str) -> None: ...

    def moved(self, storage: str, *, inward: int = 0, outward: int = 0) -> None: ...


class Call:
    """One verb of a storage, measured."""

    __slots__ = ("_meter", "_started", "_storage", "_verb")

    def __init__(self, meter: Meter, storage: str, verb: str) -> None:
        self._meter = meter
        self._storage = storage
        self._verb = verb

    async def __aenter__(self) -> None:
        self._started = time.perf_counter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._started
        name = type(error).__name__ if isinstance(error, BackendError) else ""
        self._meter.called(self._storage, self._verb, seconds, name)


class Metering:
    """The frame of a metered storage."""

    def __init__(self, storage: str, meter: Meter) -> None:
        self._storage = storage
        self._meter = meter

    def call(self, verb: str) -> AbstractAsyncContextManager[None]:
        return Call(self._meter, self._storage, verb)

    def carry(self, verb: str) -> AbstractAsyncContextManager[None]:
        return self.call(verb)

    async def inward(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for block in blocks:
            self._meter.moved(self._storage, inward=len(block))
            yield block

    def outward(
        self, verb: str, blocks: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        if isinstance(blocks, Whole):
            self._meter.moved(self._storage, outward=len(blocks.data))
            return blocks
        return self._outward(verb, blocks)

    async def _outward(
        self, verb: str, blocks: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(blocks):
            try:
                async for block in blocks:
                    self._meter.moved(self._storage, outward=len(block))
                    yield block
            except BackendError as caught:
                self._meter.called(self._storage, f"{verb} body", 0.0, type(caught).__name__)
                raise


class Metered(Watched):
    """Tells `meter` of every verb and of every block."""

    def __init__(self, inner: ObjectStore, storage: str, meter: Meter) -> None:
        super().__init__(inner, Metering(storage, meter))
