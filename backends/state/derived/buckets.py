"""Buckets as the storage tells of them, remembered for a few seconds."""

import time
from typing import Final

from msgspec.structs import replace

from backends.bounded import bounded
from backends.errors import NotFound
from backends.model import Bucket
from backends.storage.protocol import ObjectStore

TRUSTED_SECONDS: Final = 3.0
REMEMBERED: Final = 10_000
AT_ONCE: Final = 8


class KnownBuckets:
    """Each request asks for its bucket: the storage is asked once in a while.

    A bucket that no gateway made belongs to `owner`.
    """

    def __init__(self, store: ObjectStore, owner: str) -> None:
        self._store = store
        self._owner = owner
        self._known: dict[str, tuple[float, Bucket]] = {}

    async def find(self, name: str) -> Bucket:
        """The bucket as it was a moment ago at most. BucketNotFound."""
        until, bucket = self._known.get(name, (0.0, None))
        if bucket is None or time.monotonic() >= until:
            return await self.look(name)
        return bucket

    async def look(self, name: str) -> Bucket:
        """The bucket as it is now. BucketNotFound."""
        self.forget(name)
        found = await self._store.find_bucket(name)
        bucket = replace(found, owner=found.owner or self._owner)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[name] = (time.monotonic() + TRUSTED_SECONDS, bucket)
        return bucket

    def forget(self, name: str) -> None:
        """Ask the storage the next time."""
        self._known.pop(name, None)

    async def page(self, owner: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
        """The owner's buckets with names above `after`."""
        found = await self._above(after, prefix)
        return [bucket for bucket in found if bucket.owner == owner][:limit]

    async def every(self, *, after: str, limit: int) -> list[Bucket]:
        """All buckets with names above `after`."""
        return (await self._above(after))[:limit]

    async def _above(self, after: str, prefix: str = "") -> list[Bucket]:
        listed = [
            bucket
            async for bucket in self._store.buckets()
            if bucket.name.startswith(prefix) and bucket.name > after
        ]

        async def look(bucket: Bucket) -> Bucket | None:
            try:
                found = await self.find(bucket.name)
            except NotFound:
                return None
            return found if found.created else replace(found, created=bucket.created)

        found = await bounded(look, listed, at_once=AT_ONCE)
        return [bucket for bucket in found if bucket]
