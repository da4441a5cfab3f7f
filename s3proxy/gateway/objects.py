"""Objects: put, read, copied and deleted."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from backends.errors import Corrupt, NotFound
from backends.model import UNCONDITIONAL, Facts, Precondition, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.incoming import Draft, Incoming
from s3proxy.gateway.writes import Change, Lease, Writes


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


class Objects:
    """The rules of objects over one state and one storage."""

    def __init__(
        self, state: StateStore, store: ObjectStore, writes: Writes, discards: Discards
    ) -> None:
        self._state = state
        self._store = store
        self._writes = writes
        self._discards = discards

    async def find(self, bucket: str, key: str) -> Row:
        """The live row. BucketNotFound, NotFound."""
        return await self._state.find(bucket, key)

    async def read(self, bucket: str, key: str, decide: Callable[[Row], Span | None]) -> Reading:
        """Open the bytes that `decide` picks of the row; what it raises, passes.

        Where the bytes are gone an overwrite has just won: the row is read again. Corrupt where
        it still names bytes that are not there. BucketNotFound, NotFound.
        """
        seen: Row | None = None
        while True:
            row = await self._state.find(bucket, key)
            if row == seen:
                raise Corrupt(f"{bucket}/{key}: the bytes of {row.version} are not in the storage")
            span = decide(row)
            try:
                return Reading(row, span, await self._open(row, span))
            except NotFound:
                seen = row

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
            stored = await self._store.put(bucket, key, draft)
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
        while True:
            row = await self._state.find(*source)
            try:
                return await self._copy(row, bucket, key, decide(row), operation, condition)
            except NotFound:
                if await self._state.find(*source) == row:
                    raise

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
            copied = replace(facts, version=await lease.take())
            stored = await self._store.copy(
                source.bucket, source.key, source.locator, bucket, key, copied
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
        removed = await self._state.bury(
            bucket, key, "ObjectRemoved:Delete", operation, condition=condition
        )
        self._discards.add(removed)

    async def _open(self, row: Row, span: Span | None) -> AsyncGenerator[bytes, None]:
        if span is None:
            return await self._store.get(row.bucket, row.key, row.locator)
        return await self._store.get(
            row.bucket, row.key, row.locator, start=span.start, length=span.length
        )
