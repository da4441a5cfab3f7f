"""Pieces of a bucket's keys, as two sites compare them: those above `after`, up to `upto`.

`upto` "" is the end of the bucket. Rows as new as `before` (milliseconds) are left out: they may
still be on their way.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from backends.errors import BucketNotFound
from backends.model import Row
from backends.state.protocol import StateStore
from replication.messages import Listed, RangeDigest

PAGE: Final = 1000
BYTES: Final = 16
MODULUS: Final = 1 << (8 * BYTES)


class Piece(NamedTuple):
    """Rows of a range, in order, and where the next piece begins; None where this was the last."""

    rows: list[Row]
    next: str | None


async def piece(state: StateStore, bucket: str, *, after: str, upto: str, before: int) -> Piece:
    """The first rows of the range, tombstones too; none where there is no such bucket."""
    try:
        found = await state.inventory(bucket, after=after, limit=PAGE)
    except BucketNotFound:
        return Piece([], None)
    inside = [row for row in found if not upto or row.key.encode() <= upto.encode()]
    settled = [row for row in inside if row.version.milliseconds < before]
    return Piece(settled, inside[-1].key if len(inside) == PAGE else None)


async def digest_in(
    state: StateStore, bucket: str, *, after: str, upto: str, before: int
) -> RangeDigest:
    """What the whole range amounts to."""
    digest = RangeDigest()
    place: str | None = after
    while place is not None:
        found = await piece(state, bucket, after=place, upto=upto, before=before)
        digest = joined(digest, digest_of(found.rows))
        place = found.next
    return digest


def digest_of(rows: Iterable[Row]) -> RangeDigest:
    """Count and fingerprint of the live ones; it forgets their order."""
    count = total = 0
    for row in rows:
        if not row.deleted:
            count += 1
            told = f"{row.key}\0{row.version}\0{row.facts.etag}\0{row.facts.size}".encode()
            total += int.from_bytes(blake2b(told, digest_size=BYTES).digest())
    return RangeDigest(count, f"{total % MODULUS:x}")


def joined(one: RangeDigest, other: RangeDigest) -> RangeDigest:
    """The digest of two ranges that lie side by side."""
    total = (int(one.digest, 16) + int(other.digest, 16)) % MODULUS
    return RangeDigest(one.count + other.count, f"{total:x}")


def listed(row: Row) -> Listed:
    """A row, as light as sites need it to compare."""
    facts = row.facts
    return Listed(row.key, str(row.version), facts.etag, facts.size, row.deleted)
