"""Buckets of a storage, known also while it does not answer."""

from backends.errors import BucketNotFound, NotFound, Unavailable
from backends.model import Bucket
from backends.storage.layers.buffered.journal import Journal
from backends.storage.layers.buffered.steadiness import Steadiness
from backends.storage.protocol import ObjectStore


class KnownBuckets:
    """What the storage told of its buckets, kept in the journal."""

    def __init__(self, inner: ObjectStore, journal: Journal, steadiness: Steadiness) -> None:
        self._inner = inner
        self._journal = journal
        self._steadiness = steadiness
        self._written: dict[str, Bucket] = {}

    async def find(self, name: str) -> Bucket:
        """As the storage tells of it, or told before it ceased to answer. BucketNotFound."""
        known = self._known(name)
        if known and self._steadiness.unsteady:
            return known
        try:
            found = await self._inner.find_bucket(name)
        except BucketNotFound:
            await self.forget(name)
            raise
        except Unavailable:
            if known is None:
                raise
            return known
        await self.remember(found)
        return found

    async def require(self, name: str) -> None:
        """Return unless the storage says that there is no such bucket. BucketNotFound."""
        if self._known(name) or self._steadiness.unsteady:
            return
        try:
            await self.find(name)
        except Unavailable:
            return

    async def remember(self, bucket: Bucket) -> None:
        """Know it from now on."""
        if self._written.get(bucket.name) != bucket:
            await self._journal.remember(bucket)
            self._written[bucket.name] = bucket

    async def forget(self, name: str) -> None:
        """It is gone."""
        self._written.pop(name, None)
        await self._journal.forget(name)

    def _known(self, name: str) -> Bucket | None:
        try:
            return self._journal.bucket(name)
        except NotFound:
            return None
