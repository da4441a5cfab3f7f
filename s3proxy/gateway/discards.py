"""Bytes that no row names any more, dropped behind the caller's back.

State remembers each of them, so that what a crash or an unsteady storage leaves is dropped later.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from backends.errors import BackendError
from backends.model import Discard, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore

WAITING: Final = 10_000
BATCH: Final = 256


class Discards:
    """Drops discards in batches; `run` must be running for anything to be dropped."""

    def __init__(self, state: StateStore, store: ObjectStore) -> None:
        self._state = state
        self._store = store
        self._queue: asyncio.Queue[Discard] = asyncio.Queue(WAITING)

    def add(self, row: Row | None) -> None:
        """Drop the bytes of a row that was replaced or removed, soon."""
        if row and row.locator:
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait(Discard(row.bucket, row.key, row.locator))

    async def run(self) -> None:
        """Drop what is added, until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            with contextlib.suppress(BackendError):
                await self._drop(batch)

    async def settle(self, *, older_than: int) -> int:
        """Drop what no process came round to in so many milliseconds; how many."""
        dropped = 0
        while batch := await self._state.discards(older_than=older_than, limit=BATCH):
            await self._drop(batch)
            dropped += len(batch)
        return dropped

    async def _drop(self, batch: Sequence[Discard]) -> None:
        """Drop all at once, so that they share a group commit; the first error is raised."""
        await asyncio.gather(
            *(self._store.delete(discard.bucket, discard.key, discard.locator) for discard in batch)
        )
        await self._state.drop_discards(batch)
