"""Buckets that a storage lost while the state has them: made again when something is written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from backends.errors import BucketNotFound, Unreached
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore


@asynccontextmanager
async def remade(state: StateStore, store: ObjectStore, bucket: str) -> AsyncIterator[None]:
    """Where the block finds that the storage lost the bucket, make it there.

    Unreached then: the body of a write cannot be read twice, so that has to come again.
    BucketNotFound where the state does not know the bucket, or another one was missing.
    """
    try:
        yield
    except BucketNotFound as error:
        known = await state.bucket(bucket)
        if await _is_there(store, bucket):
            raise
        await store.create_bucket(known)
        raise Unreached(
            f"the storage had lost the bucket {bucket}, which is made again: try once more, and"
            " let `ccs scrub` look for its objects"
        ) from error


async def _is_there(store: ObjectStore, bucket: str) -> bool:
    try:
        await store.find_bucket(bucket)
    except BucketNotFound:
        return False
    return True
