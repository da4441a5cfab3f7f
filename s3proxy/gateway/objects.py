"""Objects: put, read, copied and deleted."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from backends.errors import BucketNotFound, Busy, Corrupt, NotFound
from backends.model import UNCONDITIONAL, Facts, Precondition, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.incoming import Draft, Incoming
from s3proxy.gateway.leases import Lease
from s3proxy.gateway.writes import REMOVED, Change, Writes

PATIENCE: Final = 10.0
PAUSE: Final = 0.02


Fetch = Callable[[str, str], Awaitable[tuple[Row, AsyncGenerator[bytes, None]]]]


class Span(NamedTuple):
    """A piece of an object, in bytes."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A row, the piece of it that was asked for (None: all of it), and its bytes."""

    row: Row
    span: Span | None
    body: AsyncGenerator[bytes, None]


class ObjectRules(Protocol):
    """What the wire asks of objects; see Objects."""

    @property
    def checked_up_to(self) -> int: ...

    async def find(self, bucket: str, key: str) -> Row: ...

    async def read(
        self,
        bucket: str,
        key: str,
        decide: Callable[[Row], Span | None],
        *,
        whole: bool = False,
    ) -> Reading: ...

    async def put(
        self,
        bucket: str,
        key: str,
        body: Incoming,
        facts: Facts,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row: ...

    async def copy(
        self,
        source: tuple[str, str],
        bucket: str,
        key: str,
        decide: Callable[[Row], Facts],
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row: ...

    async def delete(
        self,
        bucket: str,
        key: str,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> None: ...


class Objects:
    """The rules of objects over one state and one storage.

    `fetch` answers the row of a bucket's key with all of its bytes, where one question to the
    storage is enough for both. Without `keeps_etags` the state shows the storage's. With
    `buries_unknown` a delete also counts for objects that the state does not know yet: those of
    other sites, and those in the storage that are about to be adopted.
    """

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        writes: Writes,
        discards: Discards,
        fetch: Fetch | None = None,
        *,
        buries_unknown: bool = False,
        keeps_etags: bool = True,
    ) -> None:
        self._state = state
        self._store = store
        self._writes = writes
        self._discards = discards
        self._fetch = fetch
        self._buries_unknown = buries_unknown
        self._keeps_etags = keeps_etags

    @property
    def checked_up_to(self) -> int:
        """Bodies of known length, up to so many bytes, need no ETag when they are put."""
        return 0 if self._keeps_etags else self._store.capabilities.checks_up_to

    async def find(self, bucket: str, key: str) -> Row:
        """The live row. BucketNotFound, NotFound."""
        return await self._state.find(bucket, key)

    async def read(
        self,
        bucket: str,
        key: str,
        decide: Callable[[Row], Span | None],
        *,
        whole: bool = False,
    ) -> Reading:
        """Open the bytes that `decide` picks of the row; what it raises, passes.

        `whole` promises that it picks all of any row and raises nothing.

        Where the bytes are gone an overwrite is winning: the row is read again. Corrupt where it
        still names bytes that are not there. Busy, BucketNotFound, NotFound.
        """
        if whole and self._fetch:
            row, body = await self._fetch(bucket, key)
            return Reading(row, decide(row), body)
        row = await self._state.find(bucket, key)
        while True:
            span = decide(row)
            try:
                return Reading(row, span, await self._open(row, span))
            except NotFound:
                row = await self._next(row)

    async def put(
        self,
        bucket: str,
        key: str,
        body: Incoming,
        facts: Facts,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """Store a body under the facts a request gave it; the row as it is now."""

        async def store(lease: Lease) -> Row:
            if condition != UNCONDITIONAL:
                await lease.take()
            draft = Draft(body, facts, lease)
            stored = await self._store.put(bucket, key, draft, replacing=lease.replacing)
            return Row(bucket, key, draft.facts, stored.locator)

        change = Change("ObjectCreated:Put", operation)
        return await self._writes.run(bucket, key, change, store, condition=condition)

    async def copy(
        self,
        source: tuple[str, str],
        bucket: str,
        key: str,
        decide: Callable[[Row], Facts],
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """Copy the bytes of `source` (bucket, key) under the facts `decide` makes of its row.

        Where the source is overwritten meanwhile, the new one is copied. BucketNotFound, NotFound.
        """
        row = await self._state.find(*source)
        while True:
            try:
                return await self._copy(row, bucket, key, decide(row), operation, condition)
            except BucketNotFound:
                raise
            except NotFound:
                row = await self._next(row)

    async def _copy(
        self,
        source: Row,
        bucket: str,
        key: str,
        facts: Facts,
        operation: str,
        condition: Precondition,
    ) -> Row:
        async def store(lease: Lease) -> Row:
            copied = replace(facts, version=await lease.settle())
            stored = await self._store.copy(
                source.bucket,
                source.key,
                source.locator,
                bucket,
                key,
                copied,
                replacing=lease.replacing,
            )
            return Row(bucket, key, copied, stored.locator)

        change = Change("ObjectCreated:Copy", operation)
        return await self._writes.run(bucket, key, change, store, condition=condition)

    async def delete(
        self,
        bucket: str,
        key: str,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> None:
        """Remove the object; one that is not there is no error. BucketNotFound.

        PreconditionFailed and NotFound as the condition says.
        """
        if self._writes.in_place:
            removed = await self._writes.remove(bucket, key, operation, condition=condition)
        else:
            removed = await self._state.bury(bucket, key, REMOVED, operation, condition=condition)
            self._discards.add(removed)
        if removed is None and self._buries_unknown:
            await self._writes.bury_unknown(bucket, key, operation)

    async def _next(self, row: Row) -> Row:
        """The key's next row, where a writer is about to commit it.

        Corrupt where nobody is writing and the row still names bytes that are not there; Busy
        where the writer takes too long.
        """
        until = time.monotonic() + PATIENCE
        place = f"{row.bucket}/{row.key}"
        while time.monotonic() < until:
            changing = await self._state.is_changing(row.bucket, row.key)
            found = await self._state.find(row.bucket, row.key)
            if found != row:
                return found
            if not changing:
                raise Corrupt(f"{place}: the bytes of {row.version} are not in the storage")
            await asyncio.sleep(PAUSE)
        raise Busy(f"{place} is being written")

    async def _open(self, row: Row, span: Span | None) -> AsyncGenerator[bytes, None]:
        if span is None:
            return await self._store.get(row.bucket, row.key, row.locator)
        return await self._store.get(
            row.bucket, row.key, row.locator, start=span.start, length=span.length
        )
