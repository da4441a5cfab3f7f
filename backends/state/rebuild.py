"""A state made again from storage alone: each object carries the facts of its row."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from backends.bounded import bounded
from backends.model import Bucket, Row
from backends.state.found import Given, looked_at, page_of, row_of
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
        bucket = await _bucket(store, state, listed, owner)
        total += await _take_bucket(store, state, bucket, tell)
    return total


async def _bucket(store: ObjectStore, state: StateStore, listed: Bucket, owner: str) -> Bucket:
    """The bucket as the state has it: one that it knew stays as it was."""
    found = await store.find_bucket(listed.name)
    bucket = replace(found, owner=found.owner or owner, created=found.created or listed.created)
    return await state.create_bucket(bucket)


async def _take_bucket(
    store: ObjectStore, state: StateStore, bucket: Bucket, tell: Tell
) -> Rebuilt:
    taken = Rebuilt(buckets=1)
    given = Given(bucket.owner)
    async for batch in _batches(store, bucket.name):
        rows = await bounded(partial(_row, store, bucket.name, given), batch, at_once=AT_ONCE)
        known = [row for row in rows if row]
        await bounded(lambda row: state.commit(row, None), known, at_once=BATCH)
        foreign = sum(not row.version.site for row in known)
        taken += Rebuilt(objects=len(known), foreign=foreign)
        tell(bucket.name, taken.objects)
    return taken


async def _batches(store: ObjectStore, bucket: str) -> AsyncIterator[list[Stored]]:
    """What the storage lists, without keys that are reserved."""
    after = ""
    while page := await page_of(store, bucket, after=after, most=BATCH):
        yield [stored for stored in page if not is_reserved(stored.key)]
        after = page[-1].key


async def _row(store: ObjectStore, bucket: str, given: Given, listed: Stored) -> Row | None:
    """The row of what was listed; None where it went meanwhile."""
    stored = await looked_at(store, bucket, listed)
    return row_of(bucket, stored, given) if stored else None
