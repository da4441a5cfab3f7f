"""Two sites' buckets compared, range by range: equal ranges cost one exchange.

Only objects are compared, and deletes where the other site still has the object: a tombstone that
one site has purged is no difference.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from backends.model import Row
from backends.state.protocol import StateStore
from replication.client import SiteClient
from replication.messages import Listed
from replication.ranges import digest_of, listed, piece

Wants = Callable[[str, str], bool]
NOTHING: Final = Listed("", "")


class Kind(StrEnum):
    """What is different of a key."""

    ONLY_HERE = "ONLY_HERE"
    MISSING = "MISSING"
    TOMBSTONE = "TOMBSTONE"
    VERSION = "VERSION"
    SIZE = "SIZE"
    DIGEST = "DIGEST"


class Difference(Struct, frozen=True):
    """One key on which two sites do not agree: what is here, and what is there."""

    kind: Kind
    bucket: str
    key: str
    here: Listed | None
    there: Listed | None


class Span(NamedTuple):
    """A range of a bucket's keys, as `replication.ranges` has it."""

    bucket: str
    after: str
    upto: str
    before: int


class Compared(Struct, frozen=True):
    """A range that was looked at: how many objects are here, and what is different."""

    objects: int
    differences: tuple[Difference, ...]


async def compare(
    state: StateStore, site: SiteClient, bucket: str, *, before: int, wants: Wants
) -> AsyncIterator[Compared]:
    """The bucket's ranges, one after the other. Rows as new as `before` (ms) are left out.

    `wants` tells of bucket and key whether the object is one that both are to have. As SiteClient.
    """
    after: str | None = ""
    while after is not None:
        mine = await piece(state, bucket, after=after, upto="", before=before)
        digest = digest_of(mine.rows)
        span = Span(bucket, after, mine.next or "", before)
        yield Compared(digest.count, ())
        if await site.digest(bucket, after=after, upto=span.upto, before=before) != digest:
            async for differences in _differences(site, span, mine.rows):
                wanted = [one for one in differences if wants(bucket, one.key)]
                yield Compared(0, await _confirmed(state, site, wanted))
        after = mine.next


async def _differences(
    site: SiteClient, span: Span, rows: Sequence[Row]
) -> AsyncIterator[list[Difference]]:
    """What is different in a range, by the pages of the other site."""
    here = {row.key: listed(row) for row in rows}
    after: str | None = span.after
    while after is not None:
        page = await site.rows(span.bucket, after=after, upto=span.upto, before=span.before)
        pairs = [(here.pop(row.key, None), row) for row in page.rows]
        yield [one for pair in pairs if (one := _difference(span.bucket, *pair))]
        after = page.next or None
    left = (_difference(span.bucket, row, None) for row in here.values())
    yield [one for one in left if one]


def _difference(bucket: str, here: Listed | None, there: Listed | None) -> Difference | None:
    kind = kind_of(here, there)
    key = (here or there or NOTHING).key
    return Difference(kind, bucket, key, here, there) if kind else None


def kind_of(here: Listed | None, there: Listed | None) -> Kind | None:
    """How two sites differ on a key; None where they agree. A tombstone is as good as nothing."""
    one, other = here or NOTHING, there or NOTHING
    is_here, is_there = _is_live(one), _is_live(other)
    if is_here and is_there:
        return _kind_of_objects(one, other)
    if not (is_here or is_there):
        return None
    if one.deleted or other.deleted:
        return Kind.TOMBSTONE
    return Kind.ONLY_HERE if is_here else Kind.MISSING


def _kind_of_objects(here: Listed, there: Listed) -> Kind | None:
    unlike = (
        (Kind.VERSION, here.version != there.version),
        (Kind.SIZE, here.size != there.size),
        (Kind.DIGEST, here.etag != there.etag),
    )
    return next((kind for kind, differs in unlike if differs), None)


def _is_live(row: Listed) -> bool:
    return bool(row.key) and not row.deleted


async def _confirmed(
    state: StateStore, site: SiteClient, differences: Sequence[Difference]
) -> tuple[Difference, ...]:
    """Those that are still there when looked at once more: replication goes on meanwhile."""
    return tuple([one for one in differences if await _remains(state, site, one)])


async def _remains(state: StateStore, site: SiteClient, difference: Difference) -> bool:
    bucket, key = difference.bucket, difference.key
    row = await state.newest(bucket, key)
    found = await site.find(bucket, key)
    there = Row(bucket, key, found.facts, deleted=found.deleted) if found.facts else None
    here = listed(row) if row else None
    return kind_of(here, listed(there) if there else None) is not None
