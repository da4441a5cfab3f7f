"""A bucket whose bytes lie in several storages: while it moves from one to another, and after."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from backends.errors import BucketNotFound, NotFound, Unavailable
from backends.model import Bucket, Facts, Version
from backends.storage.addresses import Address, Place, parsed, written
from backends.storage.capabilities import common
from backends.storage.layers.flowing import Flowing
from backends.storage.layers.merging import merged
from backends.storage.looking import require_replaced
from backends.storage.protocol import (
    Capabilities,
    Fetched,
    ObjectStore,
    Source,
    Stored,
    StoredPart,
)


class Migrating:
    """The storages of one bucket as one.

    What a locator or token names is where that says. What is new goes to the active storage, and
    leaves in the others what it replaces. Questions without a locator are asked of all storages:
    the newest is the answer.
    """

    def __init__(self, stores: Mapping[str, ObjectStore], place: Place) -> None:
        self._stores = stores
        self._place = place
        self._active = self._store(place.active)
        self._passive = {name: stores[name] for name in place.storages[1:] if name in stores}
        self._all = {place.active: self._active, **self._passive}

    @property
    def capabilities(self) -> Capabilities:
        return common([store.capabilities for store in self._all.values()])

    async def ping(self) -> None:
        for store in self._all.values():
            await store.ping()

    async def create_bucket(self, bucket: Bucket) -> None:
        """In the active storage: the others have it, or need it no more."""
        await self._active.create_bucket(bucket)

    async def find_bucket(self, bucket: str) -> Bucket:
        return await self._active.find_bucket(bucket)

    async def delete_bucket(self, bucket: str) -> None:
        """In all of them, the active one last. NotEmpty where any has objects."""
        for store in self._passive.values():
            with suppress(BucketNotFound):
                await store.delete_bucket(bucket)
        await self._active.delete_bucket(bucket)

    async def buckets(self) -> AsyncIterator[Bucket]:
        found: dict[str, Bucket] = {}
        for store in self._all.values():
            async for bucket in store.buckets():
                found.setdefault(bucket.name, bucket)
        for name in sorted(found):
            yield found[name]

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        expected = await self._expected(bucket, key, replacing)
        return self._ours(await self._active.put(bucket, key, source, replacing=expected))

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        store, name = await self._holding(bucket, key, locator)
        return await store.get(bucket, key, name, start=start, length=length)

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        if version is None:
            return await self._newest(bucket, key)
        for name, store in self._all.items():
            with suppress(NotFound):
                return self._named(name, await store.head(bucket, key, version))
        raise NotFound(f"no storage has {version} of {bucket}/{key}")

    async def fetch(self, bucket: str, key: str) -> Fetched:
        if not self._passive:
            stored, body = await self._active.fetch(bucket, key)
            return Fetched(self._ours(stored), body)
        where = parsed((await self._newest(bucket, key)).locator, self._place.home)
        stored, body = await self._store(where.storage).fetch(bucket, key)
        return Fetched(self._named(where.storage, stored), body)

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        """What other storages have kept of the bytes that the locator names goes, too."""
        if not locator:
            for store in self._passive.values():
                with suppress(BucketNotFound):
                    await store.delete(bucket, key)
            await self._active.delete(bucket, key)
            return
        address = parsed(locator, self._place.home)
        await self._delete_kept(bucket, key, address)
        await self._store(address.storage).delete(bucket, key, address.name)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        for store in self._passive.values():
            with suppress(BucketNotFound):
                await store.delete_many(bucket, keys)
        await self._active.delete_many(bucket, keys)

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
        return await self.copy_to(
            self, bucket, key, locator, to_bucket, to_key, facts, replacing=replacing
        )

    async def copy_to(
        self,
        to: "Migrating",
        bucket: str,
        key: str,
        locator: str,
        to_bucket: str,
        to_key: str,
        facts: Facts,
        *,
        replacing: str | None = None,
    ) -> Stored:
        """As `copy`, into a bucket that may have another place; between storages through here."""
        store, name = await self._holding(bucket, key, locator)
        if store is to._active:
            expected = await to._expected(to_bucket, to_key, replacing)
            stored = await store.copy(
                bucket, key, name, to_bucket, to_key, facts, replacing=expected
            )
            return to._ours(stored)
        async with aclosing(await store.get(bucket, key, name)) as pieces:
            flowing = Flowing(pieces, facts.size, facts)
            return await to.put(to_bucket, to_key, flowing, replacing=replacing)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        listings = [self._listed(name, bucket, prefix, after, most) for name in self._all]
        async with aclosing(merged(listings, most)) as found:
            async for stored in found:
                yield stored

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        token = await self._active.create_upload(bucket, key, facts)
        return written(Address(self._place.active, token), self._place.home)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        address = parsed(upload, self._place.home)
        store = self._store(address.storage)
        return await store.put_part(bucket, key, address.name, number, source)

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
        """The parts lie in the storage where the upload began: so does the object."""
        where = parsed(upload, self._place.home)
        expected = await self._expected(bucket, key, replacing, where.storage)
        stored = await self._store(where.storage).complete_upload(
            bucket, key, where.name, parts, facts, replacing=expected
        )
        return self._named(where.storage, stored)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        where = parsed(upload, self._place.home)
        await self._store(where.storage).abort_upload(bucket, key, where.name)

    async def sweep(self) -> int:
        return sum([await store.sweep() for store in self._all.values()])

    async def close(self) -> None:
        for store in self._all.values():
            await store.close()

    async def _holding(self, bucket: str, key: str, locator: str) -> tuple[ObjectStore, str]:
        """The store that has these bytes, or the newest; and their locator there."""
        if not locator and self._passive:
            locator = (await self._newest(bucket, key)).locator
        address = parsed(locator, self._place.home)
        if not locator:
            address = Address(self._place.active, "")
        return self._store(address.storage), address.name

    async def _newest(self, bucket: str, key: str) -> Stored:
        found: list[Stored] = []
        for name, store in self._passive.items():
            with suppress(NotFound):
                found.append(self._named(name, await store.head(bucket, key)))
        try:
            found.append(self._ours(await self._active.head(bucket, key)))
        except NotFound:
            if not found:
                raise
        return max(found, key=lambda stored: stored.facts.version)

    async def _delete_kept(self, bucket: str, key: str, address: Address) -> None:
        """Remove from the other storages what is of the same version as these bytes."""
        holding = self._store(address.storage)
        others = [store for name, store in self._all.items() if name != address.storage]
        for store in others:
            with suppress(NotFound):
                kept = await store.head(bucket, key)
                stored = await holding.head(bucket, key, kept.facts.version)
                if stored.locator == address.name:
                    await store.delete(bucket, key, kept.locator)

    async def _expected(
        self, bucket: str, key: str, replacing: str | None, storage: str | None = None
    ) -> str | None:
        """`replacing` as the storage that is written to knows it, once the others agree.

        What it names in another storage is not replaced there, and nothing is here.
        PreconditionFailed.
        """
        where = self._place.active if storage is None else storage
        if replacing is None:
            return None
        if not replacing:
            for name, store in self._all.items():
                if name != where:
                    await require_replaced(store, bucket, key, "")
            return ""
        address = parsed(replacing, self._place.home)
        if address.storage == where:
            return address.name
        await require_replaced(self._store(address.storage), bucket, key, address.name)
        return ""

    async def _listed(
        self, storage: str, bucket: str, prefix: str, after: str, most: int | None
    ) -> AsyncGenerator[Stored, None]:
        listing = self._all[storage].listing(bucket, prefix=prefix, after=after, most=most)
        try:
            async with aclosing(listing) as found:
                async for stored in found:
                    yield self._named(storage, stored)
        except BucketNotFound:
            if storage == self._place.active:
                raise

    def _store(self, name: str) -> ObjectStore:
        """The storage of that name; where there is but one, that. Unavailable."""
        found = self._stores.get(name)
        if found is None and len(self._stores) == 1:
            return next(iter(self._stores.values()))
        if found is None:
            raise Unavailable(f"the settings name no storage {name or 'default'}, which has bytes")
        return found

    def _ours(self, stored: Stored) -> Stored:
        return self._named(self._place.active, stored)

    def _named(self, storage: str, stored: Stored) -> Stored:
        """With the locator as rows have it."""
        locator = written(Address(storage, stored.locator), self._place.home)
        return stored if locator == stored.locator else replace(stored, locator=locator)
