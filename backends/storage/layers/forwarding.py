"""What every layer is unless it says otherwise: the store inside it."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from backends.model import Bucket, Facts, Version
from backends.storage.protocol import (
    Capabilities,
    Fetched,
    ObjectStore,
    Source,
    Stored,
    StoredPart,
)


class Forwarding:
    """Passes each verb on; a layer overrides those that it changes.

    Verbs about a bucket go where `_at` says; the others, to the one store inside.
    """

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner

    async def _at(self, bucket: str) -> tuple[ObjectStore, str]:
        """The store that has the bucket, and the bucket's name there."""
        return self._inner, bucket

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    async def ping(self) -> None:
        await self._inner.ping()

    async def create_bucket(self, bucket: Bucket) -> None:
        store, name = await self._at(bucket.name)
        await store.create_bucket(replace(bucket, name=name))

    async def find_bucket(self, bucket: str) -> Bucket:
        store, name = await self._at(bucket)
        return replace(await store.find_bucket(name), name=bucket)

    async def delete_bucket(self, bucket: str) -> None:
        store, name = await self._at(bucket)
        await store.delete_bucket(name)

    def buckets(self) -> AsyncIterator[Bucket]:
        return self._inner.buckets()

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        store, name = await self._at(bucket)
        return await store.put(name, key, source, replacing=replacing)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        store, name = await self._at(bucket)
        return await store.get(name, key, locator, start=start, length=length)

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        store, name = await self._at(bucket)
        return await store.head(name, key, version)

    async def fetch(self, bucket: str, key: str) -> Fetched:
        store, name = await self._at(bucket)
        return await store.fetch(name, key)

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        store, name = await self._at(bucket)
        await store.delete(name, key, locator)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        store, name = await self._at(bucket)
        await store.delete_many(name, keys)

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
        """Both buckets are in one store, unless a layer says otherwise."""
        store, name = await self._at(bucket)
        _, to_name = await self._at(to_bucket)
        return await store.copy(name, key, locator, to_name, to_key, facts, replacing=replacing)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        store, name = await self._at(bucket)
        listing = store.listing(name, prefix=prefix, after=after, most=most)
        async with aclosing(listing) as found:
            async for stored in found:
                yield stored

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        store, name = await self._at(bucket)
        return await store.create_upload(name, key, facts)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        store, name = await self._at(bucket)
        return await store.put_part(name, key, upload, number, source)

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
        store, name = await self._at(bucket)
        return await store.complete_upload(name, key, upload, parts, facts, replacing=replacing)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        store, name = await self._at(bucket)
        await store.abort_upload(name, key, upload)

    async def sweep(self) -> int:
        return await self._inner.sweep()

    async def close(self) -> None:
        await self._inner.close()
