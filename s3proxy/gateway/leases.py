"""A writer's hold on the key it is about to change, and how writers of one key take turns."""

import asyncio
import random
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final

from backends.errors import Busy, Unavailable
from backends.model import UNCONDITIONAL, Intent, Precondition, Version
from backends.state.protocol import StateStore

SHORTEST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.1
ALONE: Final = 15_000


class Turns:
    """Queues of this process: one writer of a key at a time, in the order of their coming."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], deque[asyncio.Future[None]]] = {}

    async def take(self, bucket: str, key: str) -> None:
        """Return when it is the caller's turn, who then must `leave`."""
        queue = self._queues.get((bucket, key))
        if queue is None:
            self._queues[bucket, key] = deque()
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    queue.remove(turn)
            else:  # it came while the caller was told to stop
                self.leave(bucket, key)
            raise

    def leave(self, bucket: str, key: str) -> None:
        """Give the turn to the next in the queue."""
        queue = self._queues[bucket, key]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._queues[bucket, key]


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a promise holds without renewal, in milliseconds.

    Over a storage that overwrites in place, writers of a key take `turns`; while one has the key
    alone its promise is of the shorter kind, `alone`, for others wait. `patience` is how many
    seconds they do.
    """

    milliseconds: int
    turns: Turns | None = None
    alone: int = ALONE
    patience: float = 60.0


class Lease:
    """Taken before bytes change, renewed while they flow; the block is as long as it is held.

    The version is settled when the body has arrived, so the last writer to finish wins. A body
    that is at hand before the lease is taken needs no second stamp. With `version` the write is a
    replica, which has that from the beginning: Superseded where a newer one came before it. With
    `again` the row of that version is here, and only its bytes are replaced.
    """

    def __init__(
        self,
        state: StateStore,
        bucket: str,
        key: str,
        terms: Terms,
        *,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
        deletes: bool = False,
        version: Version | None = None,
        again: bool = False,
    ) -> None:
        self._state = state
        self._place = (bucket, key)
        self._terms = terms
        self._begin = partial(
            state.begin,
            bucket,
            key,
            upload=upload,
            condition=condition,
            deletes=deletes,
            version=version,
            again=again,
        )
        self._due = 0.0
        self._stamped_early = False
        self._has_turn = False
        self._over = asyncio.Event()
        self._due_alone: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self.intent: Intent | None = None

    async def __aenter__(self) -> "Lease":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.fulfilled()
        finally:
            if self._has_turn and self._terms.turns:
                self._terms.turns.leave(*self._place)

    @property
    def replacing(self) -> str | None:
        """The locator that the storage must find at the key; None where anything will do."""
        return self.intent.replacing if self.intent else None

    async def keep(self) -> Version:
        """Take the lease, or renew it when a third of it is over. Unavailable if it was lost."""
        self._stamped_early = True
        if self.intent is None:
            return await self.take()
        if time.monotonic() >= self._due:
            await self._renew(self.intent, self._terms.milliseconds)
        return self.intent.version

    async def take(self) -> Version:
        """Write the intent; the version it promises. BucketNotFound, and as its condition says."""
        self.intent = await self._begin(lease=self._terms.milliseconds)
        self._due = time.monotonic() + self._terms.milliseconds / 3000
        return self.intent.version

    async def settle(self) -> Version:
        """The version for bytes that have all arrived. Busy where others do not let go."""
        if self._terms.turns:
            await self._terms.turns.take(*self._place)
            self._has_turn = True
            return await self._settle_alone()
        if self.intent is None:
            return await self.take()
        if self._stamped_early:
            self.intent = await self._state.restamp(self.intent, lease=self._terms.milliseconds)
        return self.intent.version

    async def fulfilled(self) -> Intent | None:
        """The intent as state has it, not to be renewed any more."""
        self._over.set()
        if self._due_alone:
            self._due_alone.cancel()
        if self._renewing:
            await self._renewing
        return self.intent

    async def _settle_alone(self) -> Version:
        until = time.monotonic() + self._terms.patience
        pause = SHORTEST_PAUSE
        while True:
            try:
                self.intent = await self._alone()
            except Busy:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                loop = asyncio.get_running_loop()
                self._due_alone = loop.call_later(self._terms.alone / 3000, self._renew_alone)
                return self.intent.version

    async def _alone(self) -> Intent:
        if self.intent is None:
            return await self._begin(lease=self._terms.alone, alone=True)
        return await self._state.restamp(self.intent, lease=self._terms.alone, alone=True)

    def _renew_alone(self) -> None:
        self._renewing = asyncio.create_task(self._keep_renewed())

    async def _keep_renewed(self) -> None:
        """Renew while the storage works on the last block; a lease that is lost shows at commit."""
        while self.intent and not self._over.is_set():
            try:
                await self._renew(self.intent, self._terms.alone)
            except Unavailable:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._terms.alone / 3000):
                    await self._over.wait()

    async def _renew(self, intent: Intent, milliseconds: int) -> None:
        self.intent = await self._state.renew(intent, lease=milliseconds)
        self._due = time.monotonic() + milliseconds / 3000
