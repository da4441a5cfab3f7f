"""Objects that are in the storage and have no row yet, seen before their rows are made."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from backends.errors import BucketNotFound, Busy, NotFound
from backends.model import UNCONDITIONAL, Facts, Precondition, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from backends.storage.reserved import is_reserved
from reconcile.migration.indexing import terms_of
from reconcile.migration.records import MigrationRecords, Phase
from reconcile.storages.adopting import Terms, adopt_page, pull_one
from reconcile.storages.adoptions import TRUSTED_SECONDS, Adoptions
from s3proxy.gateway.forwarding import ForwardingObjects
from s3proxy.gateway.incoming import Incoming
from s3proxy.gateway.objects import ObjectRules, Reading, Span

REMEMBERED: Final = 10_000
FEW: Final = 100


class Origin(NamedTuple):
    """A storage whose objects a bucket has, also those without a row; and how these are taken."""

    store: ObjectStore
    terms: Terms


class Known(NamedTuple):
    """Where a bucket's objects without rows are; and when to look again."""

    origins: list[Origin]
    until: float


class Pulls:
    """Makes the row of one object at once, where its bucket is being adopted or indexed.

    `store` is all storages as one, `stores` are they by their names.
    """

    def __init__(
        self, state: StateStore, store: ObjectStore, stores: Mapping[str, ObjectStore]
    ) -> None:
        self._state = state
        self._migrations = MigrationRecords(state)
        self._adoptions = Adoptions(state)
        self._store = store
        self._stores = stores
        self._known: dict[str, Known] = {}

    async def pull(self, name: str, key: str) -> bool:
        """Whether the key has an object with a row now. Busy while it is being written."""
        origin = await self._origin_of(name, key)
        if origin is None:
            return False
        known = await self._state.newest(name, key)
        if known:
            return not known.deleted
        if await pull_one(self._state, origin.store, name, key, origin.terms):
            return True
        return await self._state.newest(name, key) is not None

    async def pull_any(self, name: str) -> None:
        """Let some object have a row, where a bucket has only such that have none."""
        with suppress(BucketNotFound):
            if not await self._state.page(name, prefix="", after="", limit=1):
                for origin in await self._origins(name):
                    await self._pull_some(name, origin)

    async def _pull_some(self, name: str, origin: Origin) -> None:
        """Take page after page until there are rows."""
        terms = origin.terms._replace(most=FEW)
        after: str | None = ""
        while after is not None:
            page = await adopt_page(self._state, origin.store, name, after, terms)
            after = None if page.rows else page.next

    async def _origin_of(self, name: str, key: str) -> Origin | None:
        if is_reserved(key):
            return None
        origins = await self._origins(name)
        return next((one for one in origins if key.startswith(one.terms.prefix)), None)

    async def _origins(self, name: str) -> list[Origin]:
        """As the bucket's documents say; they are read again once in so many seconds."""
        now = time.monotonic()
        known = self._known.get(name)
        if known and known.until > now:
            return known.origins
        try:
            origins = await self._look(name)
        except BucketNotFound:
            return []
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[name] = Known(origins, now + TRUSTED_SECONDS)
        return origins

    async def _look(self, name: str) -> list[Origin]:
        """BucketNotFound."""
        bucket = await self._state.bucket(name)
        found = [Origin(self._store, one.terms) for one in await self._adoptions.of(bucket)]
        last = await self._migrations.last(bucket)
        if last and last.phase is Phase.INDEXING:
            found.append(Origin(self._stores[last.source], terms_of(bucket, last)))
        return found


class PullingObjects(ForwardingObjects):
    """As Objects; `pulls` make the row of what has none yet, if it is there."""

    def __init__(self, objects: ObjectRules, pulls: Pulls) -> None:
        super().__init__(objects)
        self._pull = pulls.pull

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
            await self._pull(bucket, key)
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
        await self._pull(*source)
        if condition != UNCONDITIONAL:
            await self._pull(bucket, key)
        return await super().copy(source, bucket, key, decide, operation, condition=condition)

    async def delete(
        self, bucket: str, key: str, operation: str, *, condition: Precondition = UNCONDITIONAL
    ) -> None:
        """As Objects; the tombstone is one of the object that is there."""
        with suppress(Busy):
            await self._pull(bucket, key)
        await super().delete(bucket, key, operation, condition=condition)

    async def _require(self, bucket: str, key: str, missing: NotFound) -> None:
        """Return if the object has a row now; what is missing otherwise."""
        if isinstance(missing, BucketNotFound) or not await self._pull(bucket, key):
            raise missing
