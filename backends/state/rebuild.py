"""A state made again from storage alone: each object carries the facts of its row."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from backends.bounded import bounded
from backends.errors import NotFound
from backends.model import Bucket, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.reserved import is_reserved

BATCH: Final = 500
AT_ONCE: Final = 32

Tell = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was found; `foreign` objects are those that no gateway wrote."""

    buckets: int = 0
    objects: int = 0
    foreign: int = 0

    def __add__(self, other: "Rebuilt") -> "Rebuilt":
        return Rebuilt(
            self.buckets + other.buckets,
            self.objects + other.objects,
            self.foreign + other.foreign,
        )


async def rebuild(store: ObjectStore, state: StateStore, *, owner: str, tell: Tell) -> Rebuilt:
    """Take every object of the storage into the state, unless that knows a newer version.

    Buckets that no gateway made become the `owner`'s. Safe to repeat. What only a state knows does
    not come back: keys, tombstones, unfinished uploads. `tell` hears of each bucket's objects as
    they are done.
    """
    total = Rebuilt()
    async for listed in store.buckets():
        found = await store.find_bucket(listed.name)
        bucket = replace(found, owner=found.owner or owner, created=found.created or listed.created)
        total += await _take_bucket(store, state, await state.create_bucket(bucket), tell)
    return total


async def _take_bucket(
    store: ObjectStore, state: StateStore, bucket: Bucket, tell: Tell
) -> Rebuilt:
    taken = Rebuilt(buckets=1)
    async for batch in _batches(store, bucket.name):
        rows = await bounded(partial(_row, store, bucket), batch, at_once=AT_ONCE)
        known = [row for row in rows if row]
        await bounded(lambda row: state.commit(row, None), known, at_once=BATCH)
        foreign = sum(not row.version.site for row in known)
        taken += Rebuilt(objects=len(known), foreign=foreign)
        tell(bucket.name, taken.objects)
    return taken


async def _batches(store: ObjectStore, bucket: str) -> AsyncIterator[list[Stored]]:
    """What the storage lists, without keys that are reserved."""
    batch: list[Stored] = []
    async with aclosing(store.listing(bucket)) as found:
        async for stored in found:
            if not is_reserved(stored.key):
                batch.append(stored)
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


async def _row(store: ObjectStore, bucket: Bucket, listed: Stored) -> Row | None:
    """The row of what was listed; None where it went meanwhile."""
    stored = listed
    if not store.capabilities.lists_facts:
        try:
            stored = await store.head(bucket.name, listed.key)
        except NotFound:
            return None
    facts = stored.facts
    owned = facts if facts.owner else replace(facts, owner=bucket.owner)
    return Row(bucket.name, stored.key, owned, stored.locator)
