"""Buckets: made, found, listed and removed."""

import contextlib
from typing import Protocol

from backends.clock import milliseconds
from backends.errors import BucketNotFound, NotEmpty, NotFound
from backends.model import Bucket
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from s3proxy.gateway.errors import BucketTaken
from s3proxy.gateway.names import require_bucket_name
from s3proxy.gateway.placement import Placement
from s3proxy.gateway.pulling import Pulls


class Telling(Protocol):
    """Hears of buckets, for the other sites."""

    async def made(self, bucket: Bucket) -> None:
        """It is there now."""

    async def removed(self, name: str) -> None:
        """It is gone."""

    async def fetched(self, name: str) -> bool:
        """Whether a bucket that is not here was at another site, and is here now."""


class Buckets:
    """The rules of buckets over one state and one storage; `telling` hears of them.

    `pulls` give an object of a bucket a row, if only such are in it that have none yet.
    """

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        placement: Placement | None = None,
        telling: Telling | None = None,
        pulls: Pulls | None = None,
    ) -> None:
        self._state = state
        self._store = store
        self._placement = placement or Placement()
        self._telling = telling
        self._pulls = pulls

    def telling(self, telling: Telling) -> "Buckets":
        """The same rules, of which somebody hears."""
        return Buckets(self._state, self._store, self._placement, telling, self._pulls)

    async def create(self, name: str, owner: str, region: str) -> Bucket:
        """Make it, or find that it is the owner's already. InvalidBucketName, BucketTaken.

        The storage comes first: a bucket that state knows always has a place for its bytes.
        """
        require_bucket_name(name)
        storage = self._placement.choose(name, region)
        wanted = Bucket(name, owner, milliseconds(), region, storage)
        await self._store.create_bucket(wanted)
        bucket = await self._state.create_bucket(wanted)
        if bucket.owner != owner:
            raise BucketTaken(f"the bucket name {name} is taken by another client")
        if self._telling:
            await self._telling.made(bucket)
        return bucket

    async def find(self, name: str) -> Bucket:
        """BucketNotFound, also where no other site has it."""
        try:
            return await self._state.bucket(name)
        except BucketNotFound:
            if self._telling is None or not await self._telling.fetched(name):
                raise
            return await self._state.bucket(name)

    async def page(self, owner: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
        """The owner's buckets above `after`, in order."""
        return await self._state.buckets(owner, prefix=prefix, after=after, limit=limit)

    async def delete(self, name: str) -> None:
        """Remove an empty bucket with its unfinished uploads. BucketNotFound, NotEmpty.

        Bytes that a writer or a discard still has in the storage keep its bucket there: they go
        when those are settled, and the name can be taken again at once. Where it was taken while
        the storage let go of it, the storage gets it back.
        """
        if self._pulls:
            await self._pulls.pull_any(name)
        uploads = await self._state.delete_bucket(name)
        if self._telling:
            await self._telling.removed(name)
        for upload in uploads:
            await self._store.abort_upload(name, upload.key, upload.token)
        with contextlib.suppress(NotEmpty, NotFound):
            await self._store.delete_bucket(name)
        with contextlib.suppress(NotFound):
            await self._store.create_bucket(await self._state.bucket(name))
