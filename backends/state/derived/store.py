"""The StateStore of a simple gateway: no database, no events, no sites.

Every answer comes from the storage. What a database would promise, that state and storage agree,
holds by itself; what needs more than one object at a time (an outbox, leases) is not there.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from backends.bounded import bounded
from backends.clock import Clock, milliseconds
from backends.errors import BucketNotFound, NotEmpty, NotFound, NotSupported
from backends.model import (
    COUNTER_BITS,
    UNCONDITIONAL,
    AccessKey,
    Bucket,
    Discard,
    Entry,
    Event,
    Facts,
    Intent,
    KeyRange,
    Part,
    Precondition,
    RangeDigest,
    Row,
    Upload,
    Version,
)
from backends.preconditions import require, require_newer
from backends.state.derived.buckets import KnownBuckets
from backends.state.derived.keys import KeyFile
from backends.state.derived.listing import entries_of
from backends.state.derived.uploads import UploadRecords
from backends.state.protocol import Committed, Due
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.reserved import is_reserved, require_free

AT_ONCE: Final = 16
NO_EVENTS: Final = "a gateway without state has no events"
NO_RANGES: Final = "a gateway without state has no index of what it holds"


class DerivedState:
    """Facts of one storage that overwrites in place. `owner` has the buckets no gateway made."""

    def __init__(
        self,
        store: ObjectStore,
        keys: Path,
        *,
        site: str,
        owner: str,
        now: Callable[[], int] = milliseconds,
    ) -> None:
        if store.capabilities.keeps_replaced:
            raise ValueError("a gateway without state needs a storage that overwrites in place")
        self._store = store
        self._site = site
        self._now = now
        self._clock = Clock(now)
        self._keys = KeyFile(keys)
        self._buckets = KnownBuckets(store, owner)
        self._uploads = UploadRecords(store, self._clock, site)

    async def ping(self) -> None:
        self._keys.all()

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        return await self._buckets.look(bucket.name)

    async def bucket(self, name: str) -> Bucket:
        return await self._buckets.find(name)

    async def buckets(self, owner: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
        return await self._buckets.page(owner, prefix=prefix, after=after, limit=limit)

    async def every_bucket(self, *, after: str, limit: int) -> list[Bucket]:
        return await self._buckets.every(after=after, limit=limit)

    async def delete_bucket(self, name: str) -> list[Upload]:
        await self._buckets.look(name)
        if await self.page(name, prefix="", after="", limit=1):
            raise NotEmpty(f"the bucket {name} still holds objects")
        ended = await self._uploads.all(name)
        for upload in ended:
            await self._uploads.delete(name, upload.name)
        self._buckets.forget(name)
        return ended

    async def find(self, bucket: str, key: str) -> Row:
        if is_reserved(key):
            raise NotFound(f"{bucket}/{key}: there is no object")
        try:
            stored = await self._store.head(bucket, key)
        except NotFound:
            await self._buckets.find(bucket)
            raise
        return await self._row(bucket, stored)

    async def newest(self, bucket: str, key: str) -> Row | None:
        """What is there, under the version that its bytes carry; deletes are not remembered."""
        if is_reserved(key):
            return None
        owner = (await self._buckets.find(bucket)).owner
        try:
            stored = await self._store.head(bucket, key)
        except BucketNotFound:
            raise
        except NotFound:
            return None
        version = stored.facts.version
        row = self._row_of(bucket, stored, owner)
        return replace(row, facts=replace(row.facts, version=version))

    async def fetch(self, bucket: str, key: str) -> tuple[Row, AsyncGenerator[bytes, None]]:
        """What find answers, with all of the object's bytes. BucketNotFound, NotFound."""
        owner = (await self._buckets.find(bucket)).owner
        if is_reserved(key):
            raise NotFound(f"{bucket}/{key}: there is no object")
        stored, body = await self._store.fetch(bucket, key)
        return self._row_of(bucket, stored, owner), body

    async def page(self, bucket: str, *, prefix: str, after: str, limit: int) -> list[Entry]:
        owner = (await self._buckets.find(bucket)).owner
        entries = entries_of(self._store, bucket, prefix=prefix, after=after, limit=limit)
        async with aclosing(entries) as found:
            return [entry if entry.owner else entry._replace(owner=owner) async for entry in found]

    async def inventory(self, bucket: str, *, after: str, limit: int, upto: str = "") -> list[Row]:
        """What is there; a storage remembers no deletes."""
        page = await self.page(bucket, prefix="", after=after, limit=limit)
        entries = [entry for entry in page if not upto or entry.key <= upto]
        found = await bounded(partial(self._found, bucket), entries, at_once=AT_ONCE)
        return [row for row in found if row]

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        raise NotSupported(NO_RANGES)

    async def split(self, bucket: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        raise NotSupported(NO_RANGES)

    async def begin(
        self,
        bucket: str,
        key: str,
        *,
        lease: int,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
        alone: bool = False,
        deletes: bool = False,
        version: Version | None = None,
        again: bool = False,
    ) -> Intent:
        """Nothing is written: where a condition is to hold, the storage itself compares."""
        if again:
            raise NotSupported("without a database a row is nothing but its bytes")
        require_free(key)
        await self._buckets.find(bucket)
        if upload:
            await self._uploads.find(bucket, key, upload)
        if version:
            await self._require_newer(bucket, key, version)
        replacing = await self._replacing(bucket, key, condition)
        promised = version or self._version()
        return Intent(
            bucket,
            key,
            promised,
            expires=self._now() + lease,
            upload=upload,
            condition=condition,
            begun=promised,
            replacing=replacing,
            alone=alone,
            deletes=deletes,
            replica=version is not None,
        )

    async def restamp(self, intent: Intent, *, lease: int, alone: bool = False) -> Intent:
        version = intent.version if intent.replica else self._version()
        if intent.replica and alone and not intent.alone:
            await self._require_newer(intent.bucket, intent.key, version)
        return replace(intent, version=version, expires=self._now() + lease, alone=alone)

    async def is_changing(self, bucket: str, key: str) -> bool:
        return False

    async def renew(self, intent: Intent, *, lease: int) -> Intent:
        return replace(intent, expires=self._now() + lease)

    async def commit(
        self,
        row: Row,
        event: Event | None,
        *,
        intent: Intent | None = None,
        condition: Precondition = UNCONDITIONAL,
        upload: str = "",
        overwrote: bool = False,
    ) -> Committed:
        """The bytes are the row already, or are gone where it is a tombstone.

        The answer tells the ETag that a listing will show.
        """
        if upload:
            await self._uploads.delete(row.bucket, upload)
        if self._store.capabilities.etag_is_locator and not row.deleted:
            row = replace(row, facts=replace(row.facts, etag=row.locator))
        return Committed(won=True, row=row)

    async def bury(
        self,
        bucket: str,
        key: str,
        event_name: str,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
        intent: Intent | None = None,
    ) -> Row | None:
        return None

    async def create_upload(self, upload: Upload) -> None:
        require_free(upload.key)
        await self._uploads.create(upload)

    async def upload(self, bucket: str, key: str, name: str) -> Upload:
        return await self._uploads.find(bucket, key, name)

    async def uploads(
        self, bucket: str, *, prefix: str, after: tuple[str, str], limit: int
    ) -> list[Upload]:
        key, name = after
        behind = (key.encode(), name)
        return [
            upload
            for upload in await self._uploads.all(bucket)
            if upload.key.startswith(prefix) and (upload.key.encode(), upload.name) > behind
        ][:limit]

    async def put_part(self, bucket: str, key: str, name: str, part: Part) -> Part | None:
        await self._uploads.put_part(bucket, key, name, part)
        return None

    async def parts(
        self, bucket: str, key: str, name: str, *, after: int = 0, limit: int = 10_000
    ) -> list[Part]:
        await self._uploads.find(bucket, key, name)
        return await self._uploads.parts(bucket, name, after=after, limit=limit)

    async def delete_upload(self, bucket: str, key: str, name: str) -> None:
        await self._uploads.find(bucket, key, name)
        await self._uploads.delete(bucket, name)

    async def claim_expired_intents(self, *, lease: int, limit: int) -> list[Intent]:
        return []

    async def drop_intent(self, intent: Intent) -> None:
        """There is none."""

    async def unsettled(self) -> int:
        return 0

    async def discards(self, *, older_than: int, limit: int) -> list[Discard]:
        return []

    async def drop_discards(self, discards: Sequence[Discard]) -> None:
        """There are none."""

    async def purge_tombstones(self, *, older_than: int, limit: int) -> int:
        return 0

    async def expired(self, *, after: Due, limit: int) -> list[Row]:
        """A storage has no index of what expires when."""
        return []

    async def forget_expired(self) -> None:
        """Nothing is remembered."""

    async def stale_uploads(self, *, older_than: int, limit: int, prefix: str = "") -> list[Upload]:
        oldest = self._now() - older_than
        stale: list[Upload] = []
        async for bucket in self._store.buckets():
            found = await self._uploads.all(bucket.name)
            begun = (upload for upload in found if upload.name.startswith(prefix))
            stale += [upload for upload in begun if upload.started < oldest]
        return stale[:limit]

    async def subscribe(self, group: str) -> None:
        raise NotSupported(NO_EVENTS)

    async def unsubscribe(self, group: str) -> None:
        raise NotSupported(NO_EVENTS)

    async def groups(self) -> list[str]:
        return []

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        raise NotSupported(NO_EVENTS)

    async def acknowledge(self, group: str, sequence: int) -> None:
        raise NotSupported(NO_EVENTS)

    async def acquire(self, name: str, holder: str, *, lease: int) -> bool:
        return True

    async def put_key(self, key: AccessKey) -> None:
        self._keys.put(key)

    async def key(self, access_key: str) -> AccessKey:
        return self._keys.find(access_key)

    async def keys(self) -> list[AccessKey]:
        return self._keys.all()

    async def drop_key(self, access_key: str) -> None:
        self._keys.drop(access_key)

    async def close(self) -> None:
        """The storage is closed by who opened it."""

    def _version(self) -> Version:
        return Version(self._clock.stamp(), self._site)

    async def _replacing(self, bucket: str, key: str, condition: Precondition) -> str | None:
        """The locator that the storage must find for the condition to hold; None where any may be.

        PreconditionFailed and NotFound as the condition says.
        """
        if condition == UNCONDITIONAL:
            return None
        try:
            row: Row | None = await self.find(bucket, key)
        except NotFound:
            row = None
        require(condition, row.facts if row else None, f"{bucket}/{key}")
        return row.locator if row else ""

    async def _require_newer(self, bucket: str, key: str, version: Version) -> None:
        """Return if the version is above that of the bytes at the key. Superseded."""
        require_newer(await self.newest(bucket, key), version, f"{bucket}/{key}")

    async def _found(self, bucket: str, entry: Entry) -> Row | None:
        """The row of an entry; None where it went meanwhile."""
        try:
            return await self.find(bucket, entry.key)
        except NotFound:
            return None

    async def _row(self, bucket: str, stored: Stored) -> Row:
        known = stored.facts.owner
        return self._row_of(bucket, stored, known or (await self._buckets.find(bucket)).owner)

    def _row_of(self, bucket: str, stored: Stored, owner: str) -> Row:
        """The row of what is stored; it is `owner`'s where the storage names nobody."""
        facts: Facts = stored.facts
        if not facts.owner:
            facts = replace(facts, owner=owner)
        return Row(bucket, stored.key, shown(facts, stored, self._store), stored.locator)


def shown(facts: Facts, stored: Stored, store: ObjectStore) -> Facts:
    """Facts as both HEAD and a listing tell them, where the storage has ETags of its own."""
    if not store.capabilities.etag_is_locator:
        return facts
    version = replace(facts.version, stamp=stored.modified << COUNTER_BITS)
    return replace(facts, etag=stored.locator, version=version)
