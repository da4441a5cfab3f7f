"""Buckets: made, found, listed and removed."""

import contextlib

from backends.clock import milliseconds
from backends.errors import NotEmpty, NotFound
from backends.model import Bucket
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from s3proxy.gateway.errors import BucketTaken
from s3proxy.gateway.names import require_bucket_name


class Buckets:
    """The rules of buckets over one state and one storage."""

    def __init__(self, state: StateStore, store: ObjectStore) -> None:
        self._state = state
        self._store = store

    async def create(self, name: str, owner: str, region: str) -> Bucket:
        """Make it, or find that it is the owner's already. InvalidBucketName, BucketTaken.

        The storage comes first: a bucket that state knows always has a place for its bytes.
        """
        require_bucket_name(name)
        await self._store.create_bucket(name)
        bucket = await self._state.create_bucket(Bucket(name, owner, milliseconds(), region))
        if bucket.owner != owner:
            raise BucketTaken(f"the bucket name {name} is taken by another client")
        return bucket

    async def find(self, name: str) -> Bucket:
        """BucketNotFound."""
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
        for upload in await self._state.delete_bucket(name):
            await self._store.abort_upload(name, upload.key, upload.token)
        with contextlib.suppress(NotEmpty, NotFound):
            await self._store.delete_bucket(name)
        with contextlib.suppress(NotFound):
            await self._state.bucket(name)
            await self._store.create_bucket(name)
