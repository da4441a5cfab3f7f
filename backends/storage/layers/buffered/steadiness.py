"""Whether a storage answers: the frame around its verbs, and what its failures say."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from backends.errors import NoSpace, Unavailable


class BodyFailed(Exception):
    """A body on its way in failed, not the storage: `error` says how.

    Layers below must not take it for a failure of the storage.
    """

    def __init__(self, error: Unavailable) -> None:
        super().__init__(str(error))
        self.error = error


class Steadiness:
    """A storage is unsteady for so many seconds after a failure, or until it is said to be steady.

    A storage that is full, or refuses, does answer.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._until: float | None = None
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.failing = asyncio.Event()

    @property
    def unsteady(self) -> bool:
        return self._until is not None and self._now() < self._until

    def failed(self) -> None:
        """The storage did not answer."""
        self._until = self._now() + self._seconds
        self.reachable.clear()
        self.failing.set()

    def answered(self) -> None:
        """The storage answered something: what waits may be tried."""
        if self.failing.is_set():
            self.failing.clear()
            self.reachable.set()

    def steady(self) -> None:
        """The storage takes what it is given."""
        self.answered()
        self._until = None

    def call(self, verb: str) -> AbstractAsyncContextManager[None]:
        return self.carry(verb)

    @asynccontextmanager
    async def carry(self, verb: str) -> AsyncIterator[None]:
        del verb
        try:
            yield
        except BodyFailed as failed:
            raise failed.error from failed.error.__cause__
        except NoSpace:
            raise
        except Unavailable:
            self.failed()
            raise
        else:
            self.answered()

    async def inward(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for block in blocks:
                yield block
        except Unavailable as error:
            raise BodyFailed(error) from error

    async def outward(
        self, verb: str, blocks: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        async with self.carry(verb), aclosing(blocks):
            async for block in blocks:
                yield block
