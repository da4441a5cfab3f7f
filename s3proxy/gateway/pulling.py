"""Objects of an account that knows nothing of us, seen before their rows are made."""

import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from backends.errors import BucketNotFound, NotFound
from backends.model import UNCONDITIONAL, Bucket, Facts, Precondition, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from backends.storage.reserved import is_reserved
from reconcile.indexing import take
from reconcile.migration import Migration, MigrationRecords, Phase
from s3proxy.gateway.forwarding import ForwardingObjects
from s3proxy.gateway.incoming import Incoming
from s3proxy.gateway.objects import ObjectRules, Reading, Span

TRUSTED_SECONDS: Final = 1.0
REMEMBERED: Final = 10_000


class Known(NamedTuple):
    """A bucket that is being indexed, or none; and when to look again."""

    bucket: Bucket | None
    migration: Migration | None
    until: float


NOT_INDEXED: Final = (None, None)


class Pulls:
    """Makes the row of one object at once, where its bucket is still being indexed."""

    def __init__(self, state: StateStore, stores: Mapping[str, ObjectStore]) -> None:
        self._state = state
        self._records = MigrationRecords(state)
        self._stores = stores
        self._known: dict[str, Known] = {}

    async def pull(self, name: str, key: str) -> bool:
        """Whether the key has a row now that it had not before."""
        bucket, migration, _ = await self._of(name)
        if bucket is None or migration is None or is_reserved(key):
            return False
        if await self._state.newest(name, key):
            return False
        try:
            stored = await self._stores[migration.source].head(name, key)
        except NotFound:
            return False
        return await take(self._state, bucket, migration, stored)

    async def _of(self, name: str) -> Known:
        now = time.monotonic()
        known = self._known.get(name)
        if known is None or known.until <= now:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = Known(*await self._look(name), now + TRUSTED_SECONDS)
            self._known[name] = known
        return known

    async def _look(self, name: str) -> tuple[Bucket | None, Migration | None]:
        try:
            bucket = await self._state.bucket(name)
        except BucketNotFound:
            return NOT_INDEXED
        found = await self._records.last(bucket)
        return (bucket, found) if found and found.phase is Phase.INDEXING else NOT_INDEXED


class PullingObjects(ForwardingObjects):
    """As Objects; what has no row yet is looked for where the bucket comes from."""

    def __init__(self, objects: ObjectRules, pulls: Pulls) -> None:
        super().__init__(objects)
        self._pulls = pulls

    async def find(self, bucket: str, key: str) -> Row:
        """As Objects."""
        try:
            return await super().find(bucket, key)
        except NotFound as missing:
            await self._require(bucket, key, missing)
            return await super().find(bucket, key)

    async def read(
        self,
        bucket: str,
        key: str,
        decide: Callable[[Row], Span | None],
        *,
        whole: bool = False,
    ) -> Reading:
        """As Objects."""
        try:
            return await super().read(bucket, key, decide, whole=whole)
        except NotFound as missing:
            await self._require(bucket, key, missing)
            return await super().read(bucket, key, decide, whole=whole)

    async def put(
        self,
        bucket: str,
        key: str,
        body: Incoming,
        facts: Facts,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """As Objects; a condition is one of the object that is there, with a row or without."""
        if condition != UNCONDITIONAL:
            await self._pulls.pull(bucket, key)
        return await super().put(bucket, key, body, facts, operation, condition=condition)

    async def copy(
        self,
        source: tuple[str, str],
        bucket: str,
        key: str,
        decide: Callable[[Row], Facts],
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """As Objects."""
        await self._pulls.pull(*source)
        if condition != UNCONDITIONAL:
            await self._pulls.pull(bucket, key)
        return await super().copy(source, bucket, key, decide, operation, condition=condition)

    async def delete(
        self, bucket: str, key: str, operation: str, *, condition: Precondition = UNCONDITIONAL
    ) -> None:
        """As Objects; the tombstone is one of the object that is there."""
        await self._pulls.pull(bucket, key)
        await super().delete(bucket, key, operation, condition=condition)

    async def _require(self, bucket: str, key: str, missing: NotFound) -> None:
        """Return if the object has a row now; what is missing otherwise."""
        if isinstance(missing, BucketNotFound) or not await self._pulls.pull(bucket, key):
            raise missing
