"""Buckets of this site and others compared: what each holder has of the keys that differ."""

from collections.abc import AsyncGenerator, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from backends.model import LATEST, KeyRange
from reconcile.comparison.holders import Here, Holder
from reconcile.comparison.recursion import Compared, Comparison, Cutoff
from replication.messages import Listed

NEVER: Final = LATEST
NOTHING: Final = Listed("", "")
WHOLE: Final = KeyRange()


class Kind(StrEnum):
    """What is different of a key."""

    ONLY_HERE = "ONLY_HERE"
    MISSING = "MISSING"
    TOMBSTONE = "TOMBSTONE"
    VERSION = "VERSION"
    SIZE = "SIZE"
    DIGEST = "DIGEST"
    METADATA = "METADATA"


class Difference(Struct, frozen=True):
    """One key on which two sites do not agree: what is here, and what is there."""

    kind: Kind
    bucket: str
    key: str
    here: Listed | None
    there: Listed | None


async def compare(
    here: Here,
    others: Sequence[Holder],
    bucket: str,
    *,
    before: int,
    buried_since: int = NEVER,
    within: KeyRange = WHOLE,
    after: str = "",
) -> AsyncGenerator[Compared, None]:
    """The bucket's keys `within` that range and above `after`, in order; holders' names differ.

    A key that has a version as new as `before` is replication's and left out, if a holder has it
    that was asked for its rows: those whose digest is that of here are not. Tombstones older than
    `buried_since` count only where somebody has an object: they may have been purged at one site
    and not yet at another. Both are in milliseconds. To go on later, pass the last `upto` as
    `after`. Whatever a holder raises ends the comparison: an error never means absence.
    """
    comparison = Comparison(here, others, bucket, Cutoff(before, buried_since))
    place, end = max(after, within.after), within.upto
    while True:
        stride = await comparison.stride(KeyRange(place, end))
        async for found in comparison.run(stride):
            yield found
        if stride.upto == end:
            return
        place = stride.upto


def kind_of(here: Listed | None, there: Listed | None, *, buried_since: int = NEVER) -> Kind | None:
    """How two sites differ on a key; None where they agree.

    A tombstone that is older than `buried_since` is as good as nothing.
    """
    one, other = here or NOTHING, there or NOTHING
    is_here, is_there = _is_live(one), _is_live(other)
    if is_here and is_there:
        return _kind_of_objects(one, other)
    if not (is_here or is_there):
        return _kind_of_tombstones(here, there, buried_since)
    if one.deleted or other.deleted:
        return Kind.TOMBSTONE
    return Kind.ONLY_HERE if is_here else Kind.MISSING


def _kind_of_objects(here: Listed, there: Listed) -> Kind | None:
    unlike = (
        (Kind.VERSION, here.version != there.version),
        (Kind.SIZE, here.size != there.size),
        (Kind.DIGEST, here.etag != there.etag),
        (Kind.METADATA, here.shared != there.shared),
    )
    return next((kind for kind, differs in unlike if differs), None)


def _kind_of_tombstones(
    here: Listed | None, there: Listed | None, buried_since: int
) -> Kind | None:
    if buried_since == NEVER:
        return None
    recent = [row if row and row.milliseconds >= buried_since else None for row in (here, there)]
    return None if recent[0] == recent[1] else Kind.TOMBSTONE


def _is_live(row: Listed) -> bool:
    return bool(row.key) and not row.deleted
