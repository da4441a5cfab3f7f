"""A bucket's rows and what its storage lists, side by side: what differs, looked at twice.

The first look is at two ordered listings; what is different there is looked at in the storage, for
clients go on writing.
"""

from collections.abc import Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import Final, NamedTuple

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import BackendError, BucketNotFound, Corrupt, NotFound, Unavailable
from backends.model import Row
from backends.state.found import page_of
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.reserved import is_reserved

AT_ONCE: Final = 32
SETTLED: Final = 2_000
LATELY: Final = 600_000


class Kind(StrEnum):
    """What is the matter with a key.

    Bytes that are gone, that no row names, that are others; or the storage refuses to give them.
    """

    LOST = "LOST"
    UNKNOWN = "UNKNOWN"
    SIZE = "SIZE"
    DIGEST = "DIGEST"
    UNREADABLE = "UNREADABLE"


class Pair(NamedTuple):
    """What the state and the storage have of a key."""

    key: str
    row: Row | None
    stored: Stored | None


class Difference(NamedTuple):
    """What is the matter: the newest row of the key, if there is one, and what is stored there.

    Bytes that no row names were `seen` later than that, in milliseconds.
    """

    kind: Kind
    key: str
    row: Row | None
    stored: Stored | None
    detail: str = ""
    seen: int = 0


class Page(NamedTuple):
    """Keys in their order; the next page is behind `next`, if there is one."""

    pairs: list[Pair]
    next: str | None

    @property
    def live(self) -> list[Row]:
        """The rows that name bytes."""
        return [pair.row for pair in self.pairs if pair.row and not pair.row.deleted]


class Ground(NamedTuple):
    """A bucket, and where it lies. `catalogued` as in its storage's capabilities."""

    state: StateStore
    store: ObjectStore
    bucket: str
    catalogued: bool = False


async def page_at(ground: Ground, after: str, prefix: str, most: int) -> Page:
    """The keys behind `after` that begin with the prefix. BucketNotFound.

    The storage is listed first: what is written meanwhile has a row, and is looked at.
    """
    stored = await page_of(ground.store, ground.bucket, prefix=prefix, after=after, most=most)
    begin = max(after, prefix[:-1])
    rows = await ground.state.inventory(ground.bucket, after=begin, limit=most)
    page = joined(stored, rows, most)
    upto = page.next
    is_past = upto is not None and upto > prefix and not upto.startswith(prefix)
    pairs = [pair for pair in page.pairs if pair.key.startswith(prefix)]
    return Page(pairs, None if is_past else upto)


def joined(stored: Sequence[Stored], rows: Sequence[Row], most: int) -> Page:
    """The keys of both, as far as both were read: what is shorter than `most` was to its end.

    Both are in the order of their keys. Reserved ones are left out.
    """
    keys = [[one.key for one in page] for page in (stored, rows)]
    upto = min((page[-1] for page in keys if len(page) == most), default=None)
    at = {one.key: one for one in stored if not is_reserved(one.key)}
    known = {row.key: row for row in rows}
    wanted = sorted(key for key in at.keys() | known.keys() if upto is None or key <= upto)
    return Page([Pair(key, known.get(key), at.get(key)) for key in wanted], upto)


async def differences(ground: Ground, pairs: Sequence[Pair]) -> list[Difference]:
    """Those that are there at the second look, too."""
    unlike = [pair for pair in pairs if not _agrees(ground, pair)]

    async def look(pair: Pair) -> Difference | None:
        try:
            return await _at_rows(ground, pair) or await _at_bytes(ground, pair)
        except (Unavailable, BucketNotFound):
            raise
        except BackendError as error:
            return Difference(Kind.UNREADABLE, pair.key, pair.row, pair.stored, str(error))

    found = await bounded(look, unlike, at_once=AT_ONCE)
    return [one for one in found if one]


async def remains(ground: Ground, row: Row) -> bool:
    """Whether the row is still the key's newest, and nobody is about to change that."""
    if await ground.state.is_changing(ground.bucket, row.key):
        return False
    return await ground.state.newest(ground.bucket, row.key) == row


async def what_is_wrong(store: ObjectStore, row: Row) -> Kind | None:
    """With the bytes that a live row names; None where they can be read to their end."""
    size = row.facts.size
    try:
        await _touch(store, row, size - 1 if size else 0, min(size, 1))
        if len(row.facts.parts) > 1:
            await _touch(store, row, 0, size)
    except NotFound:
        return await _instead(store, row)
    except Corrupt:
        return Kind.SIZE
    return None


def _agrees(ground: Ground, pair: Pair) -> bool:
    """Whether the listings alone say that all is well."""
    _, row, stored = pair
    if row is None or row.deleted:
        return stored is None
    if stored is None or ground.catalogued:
        return False
    return (stored.locator, stored.size) == (row.locator, row.facts.size)


async def _at_rows(ground: Ground, pair: Pair) -> Difference | None:
    """What is the matter with the bytes of the row."""
    row = pair.row
    if row is None or row.deleted or _is_young(row.version.milliseconds, SETTLED):
        return None
    kind = await what_is_wrong(ground.store, row)
    if kind is None or not await remains(ground, row):
        return None
    return Difference(kind, pair.key, row, pair.stored)


async def _at_bytes(ground: Ground, pair: Pair) -> Difference | None:
    """Whether no row names the bytes.

    Bytes that a gateway wrote lately may still be committed, or those of an object that was deleted
    lately may be about to go.
    """
    seen = milliseconds()
    stored = await _still(ground, pair)
    if stored is None or _is_young(
        max(stored.modified, stored.facts.version.milliseconds), SETTLED
    ):
        return None
    if await ground.state.is_changing(ground.bucket, pair.key):
        return None
    newest = await ground.state.newest(ground.bucket, pair.key)
    if newest and _answers_for(ground.store, newest, stored):
        return None
    if stored.ours and _is_young(max(_time(newest), _time_of(stored)), LATELY):
        return None
    return Difference(Kind.UNKNOWN, pair.key, newest, stored, seen=seen)


async def _still(ground: Ground, pair: Pair) -> Stored | None:
    """What is stored there now, with its facts; None where that went or is another thing."""
    listed = pair.stored
    if listed is None:
        return None
    try:
        stored = await ground.store.head(ground.bucket, pair.key)
    except NotFound:
        return None
    return stored if stored.locator == listed.locator else None


def _answers_for(store: ObjectStore, row: Row, stored: Stored) -> bool:
    """Whether the bytes are those of a live row, or lie where its own ought to.

    Bytes of its version that it does not name are those it had before they were stored again.
    """
    if row.deleted:
        return False
    if not store.capabilities.keeps_replaced:
        return True
    return row.locator == stored.locator or row.version == stored.facts.version


def _time(row: Row | None) -> int:
    return row.version.milliseconds if row else 0


def _time_of(stored: Stored) -> int:
    return stored.facts.version.milliseconds


def _is_young(since: int, age: int) -> bool:
    """Whether that was less than so many milliseconds ago."""
    return since > milliseconds() - age


async def _instead(store: ObjectStore, row: Row) -> Kind:
    """What became of bytes that cannot be had by the row's locator."""
    if store.capabilities.keeps_replaced:
        return Kind.LOST
    try:
        found = await store.head(row.bucket, row.key)
    except NotFound:
        return Kind.LOST
    if found.locator == row.locator:
        return Kind.LOST
    return Kind.SIZE if found.size != row.facts.size else Kind.DIGEST


async def _touch(store: ObjectStore, row: Row, start: int, length: int) -> None:
    """Have the storage open these bytes, and hand out the first block. NotFound, Corrupt."""
    body = await store.get(row.bucket, row.key, row.locator, start=start, length=length)
    async with aclosing(body):
        async for _ in body:
            return
