"""How any write becomes visible: intent, bytes, commit, and the way back from each step."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from backends.clock import milliseconds
from backends.errors import (
    BackendError,
    Busy,
    NotFound,
    PreconditionFailed,
    Unavailable,
    Unreached,
)
from backends.model import UNCONDITIONAL, Event, Facts, Precondition, Row, Version
from backends.state.protocol import Committed, StateStore
from backends.storage.protocol import ObjectStore
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.errors import LostRace
from s3proxy.gateway.leases import ALONE, Lease, Terms, Turns
from s3proxy.gateway.lost_buckets import remade

T = TypeVar("T")
REMOVED: Final = "ObjectRemoved:Delete"
EXPIRED: Final = "LifecycleExpiration:Delete"


@dataclass(frozen=True, slots=True)
class Change:
    """What a write is called: S3's event name, and the id of the request that asked for it."""

    event: str
    operation: str

    def event_of(self, row: Row) -> Event:
        return Event(
            name=self.event,
            bucket=row.bucket,
            key=row.key,
            version=row.version,
            size=row.facts.size,
            etag=row.facts.etag,
            operation=self.operation,
        )


def ended(tombstone: Row) -> Event:
    """What is told of an object that came to its end by itself, now."""
    bucket, key, version = tombstone.bucket, tombstone.key, tombstone.version
    return Event(EXPIRED, bucket, key, version, operation="expiry", at=milliseconds())


class Writes:
    """Runs the writes of one gateway. `lease` is in milliseconds."""

    def __init__(
        self, state: StateStore, store: ObjectStore, discards: Discards, *, lease: int
    ) -> None:
        self._state = state
        self._store = store
        self._discards = discards
        self.in_place = not store.capabilities.keeps_replaced
        self._terms = Terms(lease, Turns() if self.in_place else None, alone=min(lease, ALONE))

    async def run(
        self,
        bucket: str,
        key: str,
        change: Change,
        put: Callable[[Lease], Awaitable[Row]],
        *,
        condition: Precondition = UNCONDITIONAL,
        upload: str = "",
    ) -> Row:
        """Store bytes with `put` and make the row it answers the key's current one.

        A newer write that commits first is no error: this one happened just before it. An error
        leaves nothing visible. Where the ground did not answer, whether it holds the bytes is not
        known: the intent stays, and a worker will look. With `upload` the write consumes that
        upload. BucketNotFound, UploadNotFound; PreconditionFailed and NotFound as the condition
        says; LostRace where it ceased to hold after the upload was consumed.
        """
        lease = Lease(self._state, bucket, key, self._terms, upload=upload, condition=condition)
        async with lease:
            row = await self._stored(bucket, lease, put)
            committed = await self._commit(row, change.event_of(row), lease, condition, upload)
            return committed.row or row

    async def apply(
        self,
        bucket: str,
        key: str,
        version: Version,
        put: Callable[[Lease], Awaitable[Row]],
        *,
        upload: str = "",
        again: bool = False,
        keeps: bool = False,
    ) -> bool:
        """As `run`, of what another site wrote as `version`, and nobody is told.

        Whether it is the key's current row now. Superseded where that was clear before its last
        bytes were stored; Busy where another writer is at the same version. With `again` the row of
        that version, which must be the current one, gets the bytes and stays as it is. With `keeps`
        the bytes that the row had before stay in the storage.
        """
        lease = Lease(
            self._state, bucket, key, self._terms, upload=upload, version=version, again=again
        )
        async with lease:
            row = await self._stored(bucket, lease, put)
            committed = await self._commit(row, None, lease, UNCONDITIONAL, upload, keeps=keeps)
            return committed.won

    async def remove(
        self, bucket: str, key: str, operation: str, *, condition: Precondition = UNCONDITIONAL
    ) -> Row | None:
        """Remove an object from a storage that overwrites in place: its bytes, then its row.

        The row it removed, or None. BucketNotFound; PreconditionFailed and NotFound as the
        condition says.
        """
        lease = Lease(self._state, bucket, key, self._terms, condition=condition, deletes=True)
        async with lease:
            await self._unless_it_fails(lease, self._remove(bucket, key, lease))
            intent = await lease.fulfilled()
            return await self._state.bury(bucket, key, REMOVED, operation, intent=intent)

    async def bury_unknown(self, bucket: str, key: str, operation: str) -> None:
        """Leave a tombstone, and its event, where no object is: other sites may have one.

        BucketNotFound.
        """
        lease = Lease(self._state, bucket, key, self._terms, deletes=self.in_place)
        async with lease:
            version = await self._unless_it_fails(lease, self._claimed(bucket, key, lease))
            tombstone = Row(bucket, key, Facts(version), deleted=True)
            event = Change(REMOVED, operation).event_of(tombstone)
            committed = await self._state.commit(
                tombstone, event, intent=await lease.fulfilled(), overwrote=self.in_place
            )
        if not self.in_place:
            self._discards.add(committed.replaced)

    async def apply_removal(
        self, bucket: str, key: str, version: Version, *, event: Event | None = None
    ) -> bool:
        """As `remove`, of what another site deleted as `version`; without an event nobody is told.

        Whether its tombstone is the key's current row now. Superseded.
        """
        tombstone = Row(bucket, key, Facts(version), deleted=True)
        lease = Lease(self._state, bucket, key, self._terms, deletes=True, version=version)
        async with lease:
            await self._unless_it_fails(lease, self._remove(bucket, key, lease))
            intent = await lease.fulfilled()
            return (await self._state.commit(tombstone, event, intent=intent, overwrote=True)).won

    @asynccontextmanager
    async def at_version(self, bucket: str, key: str, version: Version) -> AsyncIterator[None]:
        """Nobody else writes that version of the key while the block runs. Superseded, Busy."""
        async with Lease(self._state, bucket, key, self._terms, version=version) as lease:
            await lease.take()
            try:
                yield
            finally:
                await self._forget(lease)

    @asynccontextmanager
    async def alone(self, bucket: str, key: str) -> AsyncIterator[None]:
        """Where writers take turns nobody writes the key while the block runs. Busy."""
        async with Lease(self._state, bucket, key, self._terms) as lease:
            await lease.settle()
            try:
                yield
            finally:
                await self._forget(lease)

    async def _stored(
        self, bucket: str, lease: Lease, put: Callable[[Lease], Awaitable[Row]]
    ) -> Row:
        """What `put` answers. Unreached where the storage had lost the bucket: it is made again."""

        async def kept() -> Row:
            async with remade(self._state, self._store, bucket):
                return await put(lease)

        return await self._unless_it_fails(lease, kept())

    async def _remove(self, bucket: str, key: str, lease: Lease) -> Version:
        version = await lease.settle()
        await self._store.delete(bucket, key, lease.replacing or "")
        return version

    async def _claimed(self, bucket: str, key: str, lease: Lease) -> Version:
        """The version of a tombstone; where writers take turns, nothing is at the key then."""
        return await (self._remove(bucket, key, lease) if self.in_place else lease.take())

    async def _unless_it_fails(self, lease: Lease, work: Awaitable[T]) -> T:
        """What the work answers; where it certainly did nothing, its intent is forgotten."""
        try:
            return await work
        except (Busy, Unreached):
            await self._forget(lease)
            raise
        except Unavailable:
            raise
        except Exception:
            await self._forget(lease)
            raise

    async def _commit(
        self,
        row: Row,
        event: Event | None,
        lease: Lease,
        condition: Precondition,
        upload: str,
        *,
        keeps: bool = False,
    ) -> Committed:
        keeps = keeps or self.in_place
        try:
            committed = await self._state.commit(
                row,
                event,
                intent=await lease.fulfilled(),
                condition=condition,
                upload=upload,
                overwrote=keeps,
            )
        except (PreconditionFailed, NotFound) as error:
            await self._take_back(row, lease, upload)
            if upload:
                raise LostRace(f"{row.bucket}/{row.key}: begin the upload again") from error
            raise
        if not committed.won:
            await self._take_back(row, lease, upload)
        elif not keeps:
            self._discards.add(committed.replaced)
        return committed

    async def _take_back(self, row: Row, lease: Lease, upload: str) -> None:
        """Drop the bytes, then the intent; what fails here a worker does later."""
        with contextlib.suppress(BackendError):
            await self._store.delete(row.bucket, row.key, row.locator)
            if upload:
                await self._state.delete_upload(row.bucket, row.key, upload)
            await self._forget(lease)

    async def _forget(self, lease: Lease) -> None:
        intent = await lease.fulfilled()
        if intent:
            await self._state.drop_intent(intent)
