"""How any write becomes visible: intent, bytes, commit, and the way back from each step."""

import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from backends.errors import BackendError, NotFound, PreconditionFailed, Unavailable
from backends.model import UNCONDITIONAL, Event, Intent, Precondition, Row, Version
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.errors import LostRace


class Lease:
    """A writer's hold on its intent: taken before bytes change, renewed while they flow.

    The version is settled when the body has arrived, so the last writer to finish wins. A body
    that is at hand before the lease is taken needs no second stamp.
    """

    def __init__(
        self,
        state: StateStore,
        bucket: str,
        key: str,
        *,
        milliseconds: int,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
    ) -> None:
        self._state = state
        self._milliseconds = milliseconds
        self._begin = partial(
            state.begin, bucket, key, lease=milliseconds, upload=upload, condition=condition
        )
        self._due = 0.0
        self._blocks = 0
        self.intent: Intent | None = None

    async def keep(self) -> None:
        """Take the lease, or renew it when a third of it is over. Unavailable if it was lost."""
        self._blocks += 1
        if self.intent is None:
            await self.take()
        elif time.monotonic() >= self._due:
            self.intent = await self._state.renew(self.intent, lease=self._milliseconds)
            self._due = time.monotonic() + self._milliseconds / 3000

    async def take(self) -> Version:
        """Write the intent; the version it promises. BucketNotFound, and as its condition says."""
        self.intent = await self._begin()
        self._due = time.monotonic() + self._milliseconds / 3000
        return self.intent.version

    async def settle(self) -> Version:
        """The version for bytes that have all arrived."""
        if self.intent is None:
            return await self.take()
        if self._blocks > 1:
            self.intent = await self._state.restamp(self.intent, lease=self._milliseconds)
        return self.intent.version


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


class Writes:
    """Runs the writes of one gateway. `lease` is in milliseconds."""

    def __init__(
        self, state: StateStore, store: ObjectStore, discards: Discards, *, lease: int
    ) -> None:
        self._state = state
        self._store = store
        self._discards = discards
        self._lease = lease

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
        lease = Lease(
            self._state,
            bucket,
            key,
            milliseconds=self._lease,
            upload=upload,
            condition=condition,
        )
        try:
            row = await put(lease)
        except Unavailable:
            raise
        except Exception:
            await self._forget(lease)
            raise
        await self._commit(row, change, lease, condition, upload)
        return row

    async def _commit(
        self, row: Row, change: Change, lease: Lease, condition: Precondition, upload: str
    ) -> None:
        try:
            committed = await self._state.commit(
                row,
                change.event_of(row),
                intent=lease.intent,
                condition=condition,
                upload=upload,
            )
        except (PreconditionFailed, NotFound) as error:
            await self._take_back(row, lease, upload)
            if upload:
                raise LostRace(f"{row.bucket}/{row.key}: begin the upload again") from error
            raise
        if committed.won:
            self._discards.add(committed.replaced)
        else:
            await self._take_back(row, lease, upload)

    async def _take_back(self, row: Row, lease: Lease, upload: str) -> None:
        """Drop the bytes, then the intent; what fails here a worker does later."""
        with contextlib.suppress(BackendError):
            await self._store.delete(row.bucket, row.key, row.locator)
            if upload:
                await self._state.delete_upload(row.bucket, row.key, upload)
            await self._forget(lease)

    async def _forget(self, lease: Lease) -> None:
        if lease.intent:
            await self._state.drop_intent(lease.intent)
