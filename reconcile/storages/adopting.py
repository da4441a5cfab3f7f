"""A page of what a storage lists, taken into the state as rows, while clients use the bucket.

What they write, and what they delete, stays: a row from a listing is committed only where no other
is, under a version below all that is written from then on.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final, NamedTuple

from msgspec.structs import replace

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import BucketNotFound, Busy, NotFound, PreconditionFailed
from backends.model import COUNTER_BITS, LATEST, Entry, Event, Precondition, Row, Version
from backends.state.found import (
    PAGE,
    Given,
    as_listed,
    completed_version,
    next_of,
    page_of,
    row_of,
)
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.reserved import is_reserved

SKEW: Final = 2_000
SETTLED: Final = 60_000
LATELY: Final = 600_000
EVENT: Final = "ObjectCreated:Put"
NOTHING_THERE: Final = Precondition(none_match="*")


class Terms(NamedTuple):
    """How objects are taken: what their rows get, and when it began, in milliseconds.

    What gateways wrote later than that is theirs to commit. With `announce` there are events; with
    `dry_run` nothing is committed. A page has `most` objects. Where clients have written into
    another storage than this one since `apart`, rows are older than that; 0: they write into this.
    """

    given: Given
    begun: int
    prefix: str = ""
    announce: bool = False
    dry_run: bool = False
    most: int = PAGE
    apart: int = 0


class Listed(NamedTuple):
    """A page of a storage's listing, asked for at that time in milliseconds, or later.

    The next one is behind the key `next`; there is none where that is None.
    """

    asked: int
    objects: list[Stored]
    next: str | None


class Adopted(NamedTuple):
    """A page that was looked at: so many objects, the rows that are new, where to go on."""

    seen: int
    rows: list[Row]
    reserved: list[str]
    next: str | None


async def adopt_page(
    state: StateStore, store: ObjectStore, bucket: str, after: str, terms: Terms
) -> Adopted:
    """Take what the storage lists behind `after`, a page of it. BucketNotFound."""
    listed = await listed_page(store, bucket, after, terms)
    return await taken(state, store, bucket, after, listed, terms)


async def listed_page(store: ObjectStore, bucket: str, after: str, terms: Terms) -> Listed:
    """What the storage lists behind `after`. BucketNotFound."""
    asked = milliseconds()
    page = await page_of(store, bucket, prefix=terms.prefix, after=after, most=terms.most)
    return _listed(asked, page, terms.most)


async def next_page(listing: AsyncGenerator[Stored, None], asked: int, terms: Terms) -> Listed:
    """The next page of a listing that was begun when the storage was `asked`. BucketNotFound."""
    return _listed(asked, await next_of(listing, terms.most), terms.most)


def _listed(asked: int, page: list[Stored], most: int) -> Listed:
    return Listed(asked, page, page[-1].key if len(page) == most else None)


async def taken(
    state: StateStore,
    store: ObjectStore,
    bucket: str,
    after: str,
    listed: Listed,
    terms: Terms,
) -> Adopted:
    """Take what was listed behind `after` into the state."""
    free = [stored for stored in listed.objects if not is_reserved(stored.key)]
    known = await _known(state, bucket, after, free, terms)

    async def take(stored: Stored) -> Row | None:
        new = stored.key not in known
        return await take_one(state, store, bucket, stored, terms, asked=listed.asked, new=new)

    unlike = [stored for stored in free if not _is_known(store, known.get(stored.key), stored)]
    found = await bounded(take, unlike, at_once=PAGE)
    reserved = [stored.key for stored in listed.objects if is_reserved(stored.key)]
    return Adopted(len(listed.objects), [row for row in found if row], reserved, listed.next)


async def take_one(
    state: StateStore,
    store: ObjectStore,
    bucket: str,
    stored: Stored,
    terms: Terms,
    *,
    asked: int,
    new: bool = False,
    whole: bool = False,
) -> Row | None:
    """Take one object that was there when the storage was `asked`; its row, if it has it now.

    `new` says that the state did not have the key a moment ago, `whole` that the storage told all.
    """
    if not terms.apart and await _is_of_clients(state, bucket, asked, terms, stored):
        return None
    row = row_of(bucket, stored, terms.given)
    if not (whole or store.capabilities.lists_facts):
        row = as_listed(row)
    version = _version(store, stored, asked, terms, whole=whole)
    row = replace(row, facts=replace(row.facts, version=version))
    return await _commit(state, store, terms, row, new=new)


async def pull_one(
    state: StateStore, store: ObjectStore, bucket: str, key: str, terms: Terms
) -> Row | None:
    """Take what lies at a key of which the state knows nothing, with all its facts, at once.

    Its row, if it has it now. Busy while a client writes in its place. BucketNotFound.
    """
    asked = milliseconds()
    try:
        stored = await store.head(bucket, key)
    except NotFound:
        return None
    row = await take_one(state, store, bucket, stored, terms, asked=asked, whole=True)
    if row is None and not stored.ours and await _is_changing(state, bucket, key):
        raise Busy(f"{bucket}/{key} is being written")
    return row


async def _known(
    state: StateStore, bucket: str, after: str, listed: list[Stored], terms: Terms
) -> dict[str, Entry]:
    """The range's objects that the state has; none where it lacks the bucket."""
    known: dict[str, Entry] = {}
    last = listed[-1].key.encode() if listed else b""
    while after.encode() < last:
        try:
            page = await state.page(bucket, prefix=terms.prefix, after=after, limit=PAGE)
        except BucketNotFound:
            return known
        known |= {entry.key: entry for entry in page}
        if len(page) < PAGE:
            return known
        after = page[-1].key
    return known


def _is_known(store: ObjectStore, known: Entry | None, stored: Stored) -> bool:
    """Whether the state has an object of these bytes, as far as a listing tells."""
    if known is None or known.etag != stored.facts.etag:
        return False
    return store.capabilities.etag_is_locator or known.stamp >= stored.facts.version.stamp


async def _is_of_clients(
    state: StateStore, bucket: str, asked: int, terms: Terms, stored: Stored
) -> bool:
    """Whether it is a gateway's to commit.

    Bytes that came lately may be those of a client's write that is about to be committed.
    """
    version = stored.facts.version
    if stored.ours and version.milliseconds > terms.begun - SETTLED:
        return True
    changed = max(version.milliseconds, stored.modified)
    return changed > asked - LATELY and await _is_changing(state, bucket, stored.key)


def _version(
    store: ObjectStore, stored: Stored, asked: int, terms: Terms, *, whole: bool
) -> Version:
    """That of the row: what is committed later than `asked`, tombstones too, has a higher one.

    Where a listing tells less than there is, what is whole has the version of a completed row.
    """
    latest = LATEST if stored.ours else asked - SKEW
    latest = min(latest, terms.apart - 1) if terms.apart else latest
    version = stored.facts.version
    version = min(version, Version(latest << COUNTER_BITS, version.site))
    more = whole and not (stored.ours or store.capabilities.lists_facts)
    return completed_version(version) if more else version


async def _is_changing(state: StateStore, bucket: str, key: str) -> bool:
    with suppress(BucketNotFound):
        return await state.is_changing(bucket, key)
    return False


async def _commit(
    state: StateStore, store: ObjectStore, terms: Terms, row: Row, *, new: bool
) -> Row | None:
    """The row, if it is the key's now: where there is none, or one of other foreign bytes."""
    condition = NOTHING_THERE if new else await _replacing(state, row)
    if condition is None:
        return None
    if terms.dry_run:
        return row if await _would_win(state, row) else None
    event = _event_of(row) if terms.announce else None
    overwrote = not store.capabilities.keeps_replaced
    try:
        committed = await state.commit(row, event, condition=condition, overwrote=overwrote)
    except BucketNotFound:
        raise
    except (PreconditionFailed, NotFound):
        return None
    return row if committed.won else None


async def _replacing(state: StateStore, row: Row) -> Precondition | None:
    """What must hold for the row to take the place of one that is there; None where it may not.

    Only of bytes that no gateway wrote, in the place of such, can the state know less than the
    storage.
    """
    try:
        there = await state.find(row.bucket, row.key)
    except NotFound:
        return NOTHING_THERE
    if there.locator == row.locator or there.version.site or row.version.site:
        return None
    return Precondition(match=there.facts.etag)


async def _would_win(state: StateStore, row: Row) -> bool:
    with suppress(BucketNotFound):
        newest = await state.newest(row.bucket, row.key)
        return newest is None or newest.version < row.version
    return True


def _event_of(row: Row) -> Event:
    return Event(
        EVENT, row.bucket, row.key, row.version, row.facts.size, row.facts.etag, operation="adopt"
    )
