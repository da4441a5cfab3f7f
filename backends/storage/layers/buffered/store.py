"""An ObjectStore that takes writes while the storage inside it cannot."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Final

from backends.clock import milliseconds
from backends.errors import (
    Busy,
    NoSpace,
    NotEmpty,
    NotFound,
    NotSupported,
    Unavailable,
)
from backends.model import Bucket, Facts
from backends.storage.layers.buffered.bodies import Bodies
from backends.storage.layers.buffered.flusher import Flusher, Ground
from backends.storage.layers.buffered.journal import Journal, Totals, Waiting
from backends.storage.layers.buffered.keeping import Keeping
from backends.storage.layers.buffered.known import KnownBuckets
from backends.storage.layers.buffered.names import OURS, Aliases
from backends.storage.layers.buffered.options import BufferOptions
from backends.storage.layers.buffered.reading import Reading
from backends.storage.layers.buffered.steadiness import Steadiness
from backends.storage.layers.flowing import Begun, Flow, Flowing
from backends.storage.layers.watched import Watched
from backends.storage.pieces import chained
from backends.storage.protocol import Capabilities, ObjectStore, Source, Stored, StoredPart
from backends.storage.source import BytesSource

UPLOADS_REMEMBERED: Final = 24 * 3600 * 1000


class Buffered(Reading):
    """Writes of an unsteady storage wait in a folder of local disk, and are served from there.

    A write that waits is durable on this machine. Writes of a key that has one waiting wait too,
    so their order holds; the last one counts, as in a storage that overwrites in place. `run` must
    be running for anything to be stored. Several processes of one machine may share the folder.
    ValueError for a storage that keeps what is replaced.
    """

    def __init__(
        self,
        inner: ObjectStore,
        options: BufferOptions,
        *,
        now: Callable[[], int] = milliseconds,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if inner.capabilities.keeps_replaced:
            raise ValueError("a buffer needs a storage that overwrites in place")
        options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.storage = inner
        self._always = options.always
        self._steadiness = Steadiness(options.unsteady_seconds, monotonic)
        watched = Watched(inner, self._steadiness)
        journal = Journal(options.folder, durable=options.durable, now=now)
        bodies = Bodies(options, journal)
        ground = Ground(watched, journal, bodies, Aliases(watched), self._steadiness)
        self._flusher = Flusher(ground, options, sleep)
        self._buckets = KnownBuckets(watched, journal, self._steadiness)
        super().__init__(ground, Keeping(ground, self._flusher, etags=options.etags))

    @property
    def capabilities(self) -> Capabilities:
        """What waits is checked by its ETag when it is stored at last."""
        return replace(super().capabilities, checks_up_to=0)

    @property
    def unsteady(self) -> bool:
        """Whether the storage failed lately and did not answer since."""
        return self._steadiness.unsteady

    async def run(self) -> None:
        """Store what waits, until cancelled."""
        await self._flusher.run()

    async def flush_due(self) -> None:
        """Store what may be tried now; what fails stays."""
        await self._flusher.flush_due()

    def pending(self, limit: int) -> list[Waiting]:
        """What waits, the oldest first."""
        return self._journal.waiting(limit)

    def totals(self) -> Totals:
        """What waits, summed up."""
        return self._journal.totals()

    async def ping(self) -> None:
        """Return if writes can be taken, be it into the buffer alone."""
        self._journal.ping()
        try:
            await super().ping()
        except NoSpace:
            raise
        except Unavailable:
            return

    async def create_bucket(self, bucket: Bucket) -> None:
        await super().create_bucket(bucket)
        with suppress(Unavailable):
            await self._buckets.find(bucket.name)

    async def find_bucket(self, bucket: str) -> Bucket:
        """As the storage tells of it, or told before it ceased to answer."""
        return await self._buckets.find(bucket)

    async def delete_bucket(self, bucket: str) -> None:
        """NotEmpty also while writes of its keys wait; uploads in the buffer go with it."""
        for upload in self._journal.arrivals.uploads_of(bucket):
            await self._keeping.abort_upload(upload)
        for entry in self._journal.of_bucket(bucket):
            if entry.deletes:
                await self._flusher.flush(entry)
        if self._journal.of_bucket(bucket):
            raise NotEmpty(f"writes of keys of {bucket} still wait for the storage")
        await super().delete_bucket(bucket)
        await self._buckets.forget(bucket)

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        """Busy where the buffer is full, and where a write of the key began to wait meanwhile."""
        self._require_conditions(replacing)
        blocks = aiter(source)
        first = await anext(blocks, b"")
        if not first or source.size == len(first):
            whole = BytesSource(first, source.facts)
            return await self._put_block(bucket, key, whole, replacing)
        early = [first]
        del first
        begun = Begun(source, chained(early, blocks))
        if self._waits(bucket, key, replacing):
            return await self._keep(bucket, key, begun, replacing)
        return await self._put_stream(bucket, key, begun, replacing)

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        entry = self._journal.find(bucket, key)
        if entry and not entry.deletes and locator in {"", entry.locator}:
            await self._keeping.delete(bucket, key, locator)
        elif entry:
            return
        elif locator:
            await self._delete_bytes(bucket, key, locator)
        elif self._waits(bucket, key, None):
            await self._keeping.delete(bucket, key)
        else:
            await self._delete_directly(bucket, key)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        waits = {key: self._waits(bucket, key, None) for key in keys}
        await self._delete_all(bucket, [key for key in keys if waits[key]])
        free = [key for key in keys if not waits[key]]
        if not free:
            return
        try:
            await super().delete_many(bucket, free)
        except NoSpace:
            raise
        except Unavailable:
            await self._delete_all(bucket, free)

    async def copy(
        self,
        bucket: str,
        key: str,
        locator: str,
        to_bucket: str,
        to_key: str,
        facts: Facts,
        *,
        replacing: str | None = None,
    ) -> Stored:
        """In the storage itself, or through here where source or target wait."""
        self._require_conditions(replacing)
        if self._journal.find(bucket, key) is None and not self._waits(
            to_bucket, to_key, replacing
        ):
            stored = await self._aliases.resolve(bucket, key, locator)
            wanted = await self._aliases.require(to_bucket, to_key, replacing)
            return await super().copy(
                bucket, key, stored, to_bucket, to_key, facts, replacing=wanted
            )
        size = (await self.head(bucket, key)).size
        async with aclosing(await self.get(bucket, key, locator)) as pieces:
            flowing = Flowing(pieces, size, facts)
            return await self.put(to_bucket, to_key, flowing, replacing=replacing)

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        """In the buffer while writes go there, else in the storage: it stays where it began."""
        if not self._buffers:
            try:
                return await super().create_upload(bucket, key, facts)
            except NoSpace:
                raise
            except Unavailable:
                pass
        await self._buckets.require(bucket)
        return await self._keeping.create_upload(bucket, key, facts)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        if upload.startswith(OURS):
            return await self._keeping.put_part(upload, number, source)
        return await super().put_part(bucket, key, upload, number, source)

    async def complete_upload(
        self,
        bucket: str,
        key: str,
        upload: str,
        parts: Sequence[StoredPart],
        facts: Facts,
        *,
        replacing: str | None = None,
    ) -> Stored:
        """Busy for an upload of the storage's whose key has a write waiting."""
        self._require_conditions(replacing)
        if upload.startswith(OURS):
            return await self._keeping.complete_upload(bucket, key, upload, parts, facts, replacing)
        self._require_free(bucket, key)
        wanted = await self._aliases.require(bucket, key, replacing)
        return await super().complete_upload(bucket, key, upload, parts, facts, replacing=wanted)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        if upload.startswith(OURS):
            await self._keeping.abort_upload(upload)
        else:
            await super().abort_upload(bucket, key, upload)

    async def sweep(self) -> int:
        await self._journal.arrivals.forget_uploads(
            ended_before=self._journal.now() - UPLOADS_REMEMBERED
        )
        swept = await self._bodies.sweep()
        return swept + await super().sweep()

    async def close(self) -> None:
        await self._bodies.close()
        await self._journal.close()
        await super().close()

    @property
    def _buffers(self) -> bool:
        """Whether writes go into the buffer just now."""
        return self._always or self.unsteady

    def _waits(self, bucket: str, key: str, replacing: str | None) -> bool:
        """Whether a write of the key goes into the buffer."""
        if self._journal.find(bucket, key):
            return True
        return replacing is None and (self._buffers or self._keeping.stays(key))

    async def _keep(self, bucket: str, key: str, source: Source, replacing: str | None) -> Stored:
        await self._buckets.require(bucket)
        return await self._keeping.put(bucket, key, source, replacing)

    async def _put_block(
        self, bucket: str, key: str, source: Source, replacing: str | None
    ) -> Stored:
        """A body that is at hand: what the storage does not take waits at once."""
        if self._waits(bucket, key, replacing):
            return await self._keep(bucket, key, source, replacing)
        wanted = await self._aliases.require(bucket, key, replacing)
        try:
            return await super().put(bucket, key, source, replacing=wanted)
        except NoSpace:
            raise
        except Unavailable:
            if replacing is not None:
                raise
        return await self._keep(bucket, key, source, replacing)

    async def _put_stream(
        self, bucket: str, key: str, source: Source, replacing: str | None
    ) -> Stored:
        """A body that flows: no other write of the key may begin to wait before its end."""

        async def unless_one_waits(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for block in blocks:
                self._require_free(bucket, key)
                yield block

        wanted = await self._aliases.require(bucket, key, replacing)
        return await super().put(bucket, key, Flow(source, unless_one_waits), replacing=wanted)

    async def _delete_bytes(self, bucket: str, key: str, locator: str) -> None:
        try:
            stored = await self._aliases.resolve(bucket, key, locator)
        except NotFound:
            return
        await super().delete(bucket, key, stored)

    async def _delete_directly(self, bucket: str, key: str) -> None:
        try:
            await super().delete(bucket, key)
        except NoSpace:
            raise
        except Unavailable:
            await self._keeping.delete(bucket, key)

    async def _delete_all(self, bucket: str, keys: Sequence[str]) -> None:
        """At once, so that they share a group commit."""
        await asyncio.gather(*(self._keeping.delete(bucket, key) for key in keys))

    def _require_free(self, bucket: str, key: str) -> None:
        """Busy where a write of the key waits: a later one must not overtake it."""
        if self._journal.find(bucket, key):
            self._flusher.wake()
            raise Busy(f"an earlier write of {bucket}/{key} waits for the storage")

    def _require_conditions(self, replacing: str | None) -> None:
        if replacing is not None and not self.capabilities.conditional:
            raise NotSupported("the storage has no conditional writes")
