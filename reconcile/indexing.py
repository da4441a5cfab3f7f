"""Rows for objects of an account that knows nothing of us, before their bytes are moved."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from backends.bounded import bounded
from backends.errors import NotFound
from backends.model import COUNTER_BITS, Bucket, Facts, Row
from backends.state.protocol import StateStore
from backends.storage.addresses import Address, written
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.reserved import is_reserved
from reconcile.migration import Migration
from reconcile.moving import Done, Page, page_of

PAGE: Final = 500
AT_ONCE: Final = 16


class Indexing:
    """As Stage: takes what the old storage lists into the state."""

    def __init__(
        self, state: StateStore, store: ObjectStore, bucket: Bucket, migration: Migration
    ) -> None:
        self._state = state
        self._store = store
        self._bucket = bucket
        self._migration = migration

    async def page(self, after: str) -> Page:
        """Take some objects."""
        listed = await self._listed(after)
        ours = [stored for stored in listed if not is_reserved(stored.key)]
        return page_of(listed, await bounded(self._take, ours, at_once=AT_ONCE))

    async def _listed(self, after: str) -> Sequence[Stored]:
        listing = self._store.listing(self._bucket.name, after=after, most=PAGE)
        async with aclosing(listing) as found:
            return [stored async for stored in found]

    async def _take(self, listed: Stored) -> Done:
        try:
            whole = self._store.capabilities.lists_facts
            stored = listed if whole else await self._store.head(self._bucket.name, listed.key)
        except NotFound:
            return Done()
        taken = await take(self._state, self._bucket, self._migration, stored)
        return Done(changed=taken)


async def take(state: StateStore, bucket: Bucket, migration: Migration, stored: Stored) -> bool:
    """Give an object of the old storage a row, unless its key has one or had one; whether it did.

    Its version is below all that clients write since the migration began, whatever the clocks say.
    """
    if await state.newest(bucket.name, stored.key):
        return False
    locator = written(Address(migration.source, stored.locator), bucket.storage)
    row = Row(bucket.name, stored.key, _facts_of(bucket, migration, stored), locator)
    return (await state.commit(row, None)).won


def _facts_of(bucket: Bucket, migration: Migration, stored: Stored) -> Facts:
    facts = stored.facts
    before = (migration.started << COUNTER_BITS) - 1
    version = replace(facts.version, stamp=min(facts.version.stamp, before))
    return replace(facts, version=version, owner=facts.owner or bucket.owner)
