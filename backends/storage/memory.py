"""The ObjectStore in memory: small, complete, gone with the process. For tests and trials."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from backends.errors import BucketNotFound, InvalidPart, NotEmpty, NotFound, PreconditionFailed
from backends.model import Bucket, Facts, Version
from backends.storage.looking import fetch_after_head
from backends.storage.protocol import Capabilities, Fetched, Source, Stored, StoredPart

BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """One version of an object."""

    stored: Stored
    data: bytes
    facts: Facts


@dataclass(slots=True)
class Contents:
    """One bucket: the versions of each key by locator, the parts of each upload by token."""

    bucket: Bucket
    objects: dict[str, dict[str, Held]] = field(default_factory=dict)
    parts: dict[str, dict[str, bytes]] = field(default_factory=dict)


class MemoryStore:
    """Objects in dictionaries. Without `keeps_replaced` a put overwrites in place."""

    def __init__(self, *, keeps_replaced: bool = True) -> None:
        self.capabilities = Capabilities(keeps_replaced=keeps_replaced)
        self._buckets: dict[str, Contents] = {}
        self._locators = count(1)

    async def ping(self) -> None:
        """It always answers."""

    async def create_bucket(self, bucket: Bucket) -> None:
        self._buckets.setdefault(bucket.name, Contents(bucket))

    async def find_bucket(self, bucket: str) -> Bucket:
        return self._contents(bucket).bucket

    async def delete_bucket(self, bucket: str) -> None:
        if self._contents(bucket).objects:
            raise NotEmpty(f"the storage still has objects in {bucket}")
        del self._buckets[bucket]

    async def buckets(self) -> AsyncIterator[Bucket]:
        for name in sorted(self._buckets):
            yield self._buckets[name].bucket

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        self._contents(bucket)
        data = b"".join([block async for block in source])
        return self._keep(bucket, key, data, source.facts, replacing)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        data = self._find(bucket, key, locator).data
        return _blocks(data[start:] if length is None else data[start : start + length])

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        if version is None:
            return self._find(bucket, key, "").stored
        for held in reversed(self._versions(bucket, key).values()):
            if held.facts.version == version:
                return held.stored
        raise NotFound(f"the storage has nothing of that version at {bucket}/{key}")

    async def fetch(self, bucket: str, key: str) -> Fetched:
        return await fetch_after_head(self, bucket, key)

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        objects = self._buckets[bucket].objects if bucket in self._buckets else {}
        versions = objects.get(key, {})
        for name in [locator] if locator else list(versions):
            versions.pop(name, None)
        if not versions:
            objects.pop(key, None)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        for key in keys:
            await self.delete(bucket, key)

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
        data = self._find(bucket, key, locator).data
        self._contents(to_bucket)
        return self._keep(to_bucket, to_key, data, facts, replacing)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        keys = sorted(
            key for key in self._contents(bucket).objects if key.startswith(prefix) and key > after
        )
        for stored in [self._find(bucket, key, "").stored for key in keys[:most]]:
            yield stored

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        del key, facts
        self._contents(bucket)
        return secrets.token_hex(16)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        del key, number
        contents = self._contents(bucket)
        data = b"".join([block async for block in source])
        token = secrets.token_hex(16)
        contents.parts.setdefault(upload, {})[token] = data
        return token

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
        contents = self._contents(bucket)
        known = contents.parts.get(upload, {})
        for part in parts:
            if part.token not in known:
                raise InvalidPart(f"the storage has no part {part.number} of that token")
        data = b"".join(known[part.token] for part in parts)
        stored = self._keep(bucket, key, data, facts, replacing)
        contents.parts.pop(upload, None)
        return stored

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        del key
        if bucket in self._buckets:
            self._buckets[bucket].parts.pop(upload, None)

    async def sweep(self) -> int:
        """Nothing outlives a crash here."""
        return 0

    async def close(self) -> None:
        self._buckets.clear()

    def _keep(
        self, bucket: str, key: str, data: bytes, facts: Facts, replacing: str | None
    ) -> Stored:
        held = self._versions(bucket, key)
        newest = self._find(bucket, key, "").stored.locator if held else ""
        if replacing not in {None, newest}:
            raise PreconditionFailed(f"{bucket}/{key} was changed meanwhile")
        stored = Stored(key, len(data), str(next(self._locators)), facts)
        versions = self._contents(bucket).objects.setdefault(key, {})
        if not self.capabilities.keeps_replaced:
            versions.clear()
        versions[stored.locator] = Held(stored, data, facts)
        return stored

    def _find(self, bucket: str, key: str, locator: str) -> Held:
        versions = self._versions(bucket, key)
        if not locator and versions:
            return max(versions.values(), key=lambda held: held.facts.version)
        if locator not in versions:
            raise NotFound(f"the storage has no bytes {locator} at {bucket}/{key}")
        return versions[locator]

    def _versions(self, bucket: str, key: str) -> dict[str, Held]:
        return self._buckets[bucket].objects.get(key, {}) if bucket in self._buckets else {}

    def _contents(self, bucket: str) -> Contents:
        if bucket not in self._buckets:
            raise BucketNotFound(f"the storage has no bucket {bucket}")
        return self._buckets[bucket]


async def _blocks(data: bytes) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(data), BLOCK):
        yield data[at : at + BLOCK]
