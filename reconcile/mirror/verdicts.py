"""What is to be done about a key that a bucket and a plain storage do not have alike. Pure: no I/O.

A version is known where bytes carry our facts; by that the newest wins. Of others nothing tells
which is newer: a storage's times never do.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from backends.etags import are_comparable
from backends.model import Row
from backends.storage.protocol import Stored
from reconcile.comparison.compare import Kind
from reconcile.sites.plan import Action


class Source(StrEnum):
    """Whose objects go to the other side. ANY: those that the other lacks, or has older."""

    ANY = ""
    HERE = "here"
    STORAGE = "storage"


class Verdict(NamedTuple):
    """What is different, and what is to be done: `giver` has what the other side is to get."""

    kind: Kind
    action: Action
    giver: Source

    @property
    def removes(self) -> bool:
        """Whether an object goes."""
        return self.action is Action.DELETE


REASONS: Final[Mapping[Kind, str]] = {
    Kind.MISSING: "the source does not have it",
    Kind.ONLY_HERE: "the source does not have it",
    Kind.TOMBSTONE: "deleted here, but what is there may be another object",
    Kind.VERSION: "newer than what the source has",
    Kind.SIZE: "nothing tells which is newer: name a source",
    Kind.DIGEST: "nothing tells which is newer: name a source",
}


def decide(row: Row | None, stored: Stored | None, source: Source) -> Verdict | None:
    """What is to be done about the newest row of a key and what the storage has; None: nothing.

    `stored` tells whether the bytes are ours, unless `is_told` says that this does not matter.
    """
    if stored is None:
        return _given(Kind.ONLY_HERE, Source.HERE, source) if row and not row.deleted else None
    if row is None:
        return _given(Kind.MISSING, Source.STORAGE, source)
    if row.deleted:
        return _of_deleted(row, stored, source)
    return None if is_alike(row, stored) else _of_both(row, stored, source)


def is_told(row: Row | None, stored: Stored | None) -> bool:
    """Whether a listing that tells of size and ETag alone is enough to decide."""
    if row is None or stored is None:
        return True
    return not row.deleted and (stored.size, stored.facts.etag) == (row.facts.size, row.facts.etag)


def is_alike(row: Row, stored: Stored) -> bool:
    """Whether the storage has the object of the row, as far as it tells.

    Of bytes that carry our facts headers and metadata are compared, too.
    """
    ours, theirs = row.facts, stored.facts
    if stored.size != ours.size:
        return False
    if not stored.ours:
        return ours.etag == theirs.etag or not are_comparable(ours.etag, theirs.etag)
    if ours.version == theirs.version:
        return True
    told = (theirs.etag, theirs.headers, theirs.metadata)
    return told == (ours.etag, ours.headers, ours.metadata)


def _of_deleted(row: Row, stored: Stored, source: Source) -> Verdict:
    """Only bytes of ours that the tombstone is above go."""
    goes = stored.ours and stored.facts.version <= row.version and source is not Source.STORAGE
    return Verdict(Kind.TOMBSTONE, Action.DELETE if goes else Action.KEEP, Source.HERE)


def _of_both(row: Row, stored: Stored, source: Source) -> Verdict:
    here, there = row.version, stored.facts.version
    if stored.ours and here.site and here != there:
        return _given(Kind.VERSION, Source.HERE if here > there else Source.STORAGE, source)
    kind = Kind.DIGEST if stored.size == row.facts.size else Kind.SIZE
    return Verdict(kind, Action.COPY if source else Action.KEEP, source)


def _given(kind: Kind, giver: Source, source: Source) -> Verdict:
    """The giver's object goes to the other side, unless only the other's may."""
    return Verdict(kind, Action.COPY if source in {Source.ANY, giver} else Action.KEEP, giver)
