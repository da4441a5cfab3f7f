"""A look before a change, for storages and servers that lack a condition for it."""

from collections.abc import Sequence
from typing import Final

from backends.bounded import bounded
from backends.errors import Corrupt, NotFound, PreconditionFailed
from backends.storage.protocol import Fetched, ObjectStore

AT_ONCE: Final = 16


async def require_bytes(store: ObjectStore, bucket: str, key: str, locator: str) -> None:
    """NotFound unless the locator, or without one anything, is at the key."""
    stored = await store.head(bucket, key)
    if locator not in {"", stored.locator}:
        raise NotFound(f"the storage has no bytes {locator} at {bucket}/{key}")


async def require_replaced(store: ObjectStore, bucket: str, key: str, replacing: str) -> None:
    """PreconditionFailed unless the locator is at the key; nothing, where it is ""."""
    try:
        found = (await store.head(bucket, key)).locator
    except NotFound:
        found = ""
    if found != replacing:
        raise PreconditionFailed(f"{bucket}/{key} was changed meanwhile")


async def fetch_after_head(store: ObjectStore, bucket: str, key: str) -> Fetched:
    """ObjectStore.fetch of a storage that does not tell all with the bytes.

    What is replaced between the two requests is looked at again. Corrupt where nothing replaced
    the bytes and they are not there.
    """
    stored = await store.head(bucket, key)
    while True:
        try:
            return Fetched(stored, await store.get(bucket, key, stored.locator))
        except NotFound as error:
            seen, stored = stored, await store.head(bucket, key)
            if stored.locator == seen.locator:
                raise Corrupt(f"{bucket}/{key}: the storage does not have its bytes") from error


async def delete_each(store: ObjectStore, bucket: str, keys: Sequence[str]) -> None:
    """ObjectStore.delete_many of a storage that deletes one at a time."""
    await bounded(lambda key: store.delete(bucket, key), keys, at_once=AT_ONCE)
