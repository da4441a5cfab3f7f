"""A state whose rows are complete when they are read, also those that only a listing told of."""

from functools import partial
from typing import Any, Final

from backends.bounded import bounded
from backends.errors import BackendError, Busy, NotFound, Unavailable
from backends.model import Row
from backends.state.found import completed
from backends.state.protocol import StateStore
from backends.storage.addresses import parsed
from backends.storage.protocol import ObjectStore, Stored

AT_ONCE: Final = 32
HOME: Final = ""


class Completing:
    """Looks into the storage for what is not known of a row, and keeps it in the state.

    Every verb that reads no rows is the state's own. Where the storage does not answer, a row that
    is not complete cannot be read: Unavailable. An inventory has those of which the storage tells
    nothing, or not now, as they are.
    """

    def __init__(self, state: StateStore, store: ObjectStore) -> None:
        self._state = state
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    async def find(self, bucket: str, key: str) -> Row:
        row = await self._state.find(bucket, key)
        while row.facts.listed:
            done = await self._complete(row)
            if done:
                return done
            row = await self._state.find(bucket, key)
        return row

    async def newest(self, bucket: str, key: str) -> Row | None:
        row = await self._state.newest(bucket, key)
        while row and row.facts.listed:
            done = await self._complete(row)
            if done:
                return done
            row = await self._state.newest(bucket, key)
        return row

    async def inventory(self, bucket: str, *, after: str, limit: int, upto: str = "") -> list[Row]:
        rows = await self._state.inventory(bucket, after=after, limit=limit, upto=upto)
        if not any(row.facts.listed for row in rows):
            return rows
        return await bounded(partial(self._current, bucket), rows, at_once=AT_ONCE)

    async def _current(self, bucket: str, row: Row) -> Row:
        if not row.facts.listed:
            return row
        try:
            return await self.newest(bucket, row.key) or row
        except Busy:
            return row
        except Unavailable:
            raise
        except BackendError:
            return row

    async def _complete(self, row: Row) -> Row | None:
        """The row with all its facts, as the state has it now; None where that has a newer one.

        A row whose bytes are gone stays as it is. Busy while other bytes are being written.
        """
        try:
            stored = await self._store.head(row.bucket, row.key)
        except NotFound:
            return row
        if stored.locator != row.locator and await self._is_written(row, stored):
            raise Busy(f"{row.bucket}/{row.key} is being written")
        full = completed(row, stored)
        committed = await self._state.commit(full, None, overwrote=True)
        return full if committed.won else None

    async def _is_written(self, row: Row, stored: Stored) -> bool:
        """Whether the bytes may be a client's that has not committed them yet.

        Those in another storage than the row's are: a bucket that moves has listed rows in one.
        """
        where, there = parsed(row.locator, HOME), parsed(stored.locator, HOME)
        return where.storage != there.storage or await self._state.is_changing(row.bucket, row.key)
