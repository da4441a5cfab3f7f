"""A storage whose buffer was turned off: locators from then still name their bytes."""

from collections.abc import AsyncGenerator, Sequence

from backends.errors import NotFound
from backends.model import Facts
from backends.storage.layers.buffered.names import Aliases
from backends.storage.layers.forwarding import Forwarding
from backends.storage.protocol import ObjectStore, Source, Stored, StoredPart


class Resolving(Forwarding):
    """Turns locators that a buffer gave into the storage's own; others pass as they are."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._aliases = Aliases(inner)

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        wanted = await self._aliases.require(bucket, key, replacing)
        return await super().put(bucket, key, source, replacing=wanted)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        stored = await self._aliases.resolve(bucket, key, locator)
        return await super().get(bucket, key, stored, start=start, length=length)

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        try:
            stored = await self._aliases.resolve(bucket, key, locator)
        except NotFound:
            return
        await super().delete(bucket, key, stored)

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
        stored = await self._aliases.resolve(bucket, key, locator)
        wanted = await self._aliases.require(to_bucket, to_key, replacing)
        return await super().copy(bucket, key, stored, to_bucket, to_key, facts, replacing=wanted)

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
        wanted = await self._aliases.require(bucket, key, replacing)
        return await super().complete_upload(bucket, key, upload, parts, facts, replacing=wanted)
