"""Several storages as one: each bucket lies in one of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Final

from msgspec.structs import replace

from backends.errors import BucketNotFound, NotFound
from backends.model import Bucket, Facts
from backends.storage.layers.flowing import Flowing
from backends.storage.layers.forwarding import Forwarding
from backends.storage.protocol import Capabilities, ObjectStore, Stored

REMEMBERED: Final = 10_000
Locate = Callable[[str], Awaitable[str]]


class Placed(Forwarding):
    """Sends each call to the storage that has the bucket.

    `locate` answers the name of the storage of a bucket that state knows; what it does not know
    is looked for in all of them, in their order.
    """

    def __init__(self, stores: Mapping[str, ObjectStore], locate: Locate) -> None:
        super().__init__(next(iter(stores.values())))
        self._stores = stores
        self._locate = locate
        self._places: dict[str, str] = {}
        self._common = common([store.capabilities for store in stores.values()])

    @property
    def capabilities(self) -> Capabilities:
        return self._common

    async def ping(self) -> None:
        await asyncio.gather(*(store.ping() for store in self._stores.values()))

    async def create_bucket(self, bucket: Bucket) -> None:
        """Make it in the storage it names, unless another one has it already."""
        try:
            store, _ = await self._at(bucket.name)
        except BucketNotFound:
            store = self._stores[bucket.storage]
        await store.create_bucket(bucket)

    async def find_bucket(self, bucket: str) -> Bucket:
        found = await super().find_bucket(bucket)
        return replace(found, storage=self._places[bucket])

    async def delete_bucket(self, bucket: str) -> None:
        await super().delete_bucket(bucket)
        self._places.pop(bucket, None)

    async def buckets(self) -> AsyncIterator[Bucket]:
        """All of them; of two with one name, that of the earlier storage."""
        found: dict[str, Bucket] = {}
        for place, store in self._stores.items():
            async for bucket in store.buckets():
                found.setdefault(bucket.name, replace(bucket, storage=place))
        for name in sorted(found):
            yield found[name]

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        """In a bucket that is gone there is nothing to delete."""
        with suppress(BucketNotFound):
            await super().delete(bucket, key, locator)

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
        """Inside one storage by itself, between two through here."""
        (source, _), (target, _) = await self._at(bucket), await self._at(to_bucket)
        if source is target:
            return await super().copy(
                bucket, key, locator, to_bucket, to_key, facts, replacing=replacing
            )
        async with aclosing(await source.get(bucket, key, locator)) as pieces:
            flowing = Flowing(pieces, facts.size, facts)
            return await target.put(to_bucket, to_key, flowing, replacing=replacing)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """In a bucket that is gone there is nothing to abort."""
        with suppress(BucketNotFound):
            await super().abort_upload(bucket, key, upload)

    async def sweep(self) -> int:
        return sum([await store.sweep() for store in self._stores.values()])

    async def close(self) -> None:
        for store in self._stores.values():
            await store.close()

    async def _at(self, bucket: str) -> tuple[ObjectStore, str]:
        """BucketNotFound where no storage has it."""
        place = self._places.get(bucket)
        if place is None:
            place = await self._find(bucket)
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            self._places[bucket] = place
        return self._stores[place], bucket

    async def _find(self, bucket: str) -> str:
        try:
            return await self._locate(bucket)
        except NotFound:
            return await self._search(bucket)

    async def _search(self, bucket: str) -> str:
        for name, store in self._stores.items():
            try:
                await store.find_bucket(bucket)
            except NotFound:
                continue
            return name
        raise BucketNotFound(f"no storage has a bucket {bucket}")


def common(of: Sequence[Capabilities]) -> Capabilities:
    """What all of them can do."""
    return Capabilities(
        keeps_replaced=all(one.keeps_replaced for one in of),
        conditional=all(one.conditional for one in of),
        lists_facts=all(one.lists_facts for one in of),
        etag_is_locator=any(one.etag_is_locator for one in of),
        catalogued=any(one.catalogued for one in of),
        least_part=max(one.least_part for one in of),
    )
