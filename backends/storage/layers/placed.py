"""Several storages as one: each bucket lies in one of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Final, NamedTuple

from msgspec.structs import replace

from backends.errors import BucketNotFound, NotFound
from backends.model import Bucket, Facts
from backends.storage.addresses import Place
from backends.storage.capabilities import common
from backends.storage.layers.forwarding import Forwarding
from backends.storage.layers.migrating import Migrating
from backends.storage.protocol import Capabilities, ObjectStore, Stored

REMEMBERED: Final = 10_000
TRUSTED_SECONDS: Final = 1.0
NEVER: Final = float("inf")
Locate = Callable[[str], Awaitable[Place]]


class Known(NamedTuple):
    """A place, and when it is to be looked at again."""

    place: Place
    until: float


class Placed(Forwarding):
    """Sends each call to the storage that has the bucket, or to those that it moves between.

    `locate` answers the place of a bucket that state knows, and is asked again once in so many
    seconds, for which its answer is trusted: a bucket can move while it is in use. What state does
    not know is looked for in all storages, in their order. Where buckets are `remembered` it knows
    each that was made.
    """

    def __init__(
        self,
        stores: Mapping[str, ObjectStore],
        locate: Locate,
        *,
        remembered: bool = False,
        trusted_seconds: float = TRUSTED_SECONDS,
    ) -> None:
        super().__init__(next(iter(stores.values())))
        self._stores = stores
        self._locate = locate
        self._remembered = remembered
        self._trusted_seconds = trusted_seconds
        self._places: dict[str, Known] = {}
        self._common = common([store.capabilities for store in stores.values()])
        self._at_place = cache(lambda place: Migrating(stores, place))

    @property
    def capabilities(self) -> Capabilities:
        return self._common

    async def ping(self) -> None:
        await asyncio.gather(*(store.ping() for store in self._stores.values()))

    async def create_bucket(self, bucket: Bucket) -> None:
        """Make it in the storage it names, unless it is another one's already."""
        try:
            store = await self._made_in(bucket.name)
        except BucketNotFound:
            store = self._stores[bucket.storage]
        await store.create_bucket(bucket)
        self._places.pop(bucket.name, None)

    async def find_bucket(self, bucket: str) -> Bucket:
        found = await super().find_bucket(bucket)
        return replace(found, storage=(await self._place(bucket)).home)

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
        source, target = await self._migrating(bucket), await self._migrating(to_bucket)
        return await source.copy_to(
            target, bucket, key, locator, to_bucket, to_key, facts, replacing=replacing
        )

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
        return await self._migrating(bucket), bucket

    async def _migrating(self, bucket: str) -> Migrating:
        return self._at_place(await self._place(bucket))

    async def _made_in(self, bucket: str) -> ObjectStore:
        """Where it was made before: as state remembers it, or else as the storages tell."""
        if not self._remembered:
            return await self._migrating(bucket)
        place = await self._locate(bucket)
        if place.gone:
            raise BucketNotFound(f"the bucket {bucket} is gone")
        return self._at_place(place)

    async def _place(self, bucket: str) -> Place:
        """Where the bucket lies; while one caller looks again, the others go by what is known."""
        now = time.monotonic()
        known = self._places.get(bucket)
        if known and known.until > now:
            return known.place
        if known:
            self._places[bucket] = known._replace(until=now + self._trusted_seconds)
        found = await self._find(bucket)
        if len(self._places) >= REMEMBERED:
            self._places.clear()
        self._places[bucket] = found
        return found.place

    async def _find(self, bucket: str) -> Known:
        until = time.monotonic() + self._trusted_seconds
        try:
            return Known(await self._locate(bucket), until)
        except NotFound:
            name = await self._search(bucket)
            return Known(Place(name, name), until if self._remembered else NEVER)

    async def _search(self, bucket: str) -> str:
        for name, store in self._stores.items():
            try:
                await store.find_bucket(bucket)
            except NotFound:
                continue
            return name
        raise BucketNotFound(f"no storage has a bucket {bucket}")
