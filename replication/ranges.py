"""Ranges of a bucket's keys, as sites compare them: what they amount to, and their rows."""

import asyncio
from collections.abc import Sequence
from typing import Final

from backends.errors import BucketNotFound
from backends.fingerprint import (
    MODULUS,
    object_fingerprint,
    shared_of,
    tombstone_fingerprint,
)
from backends.model import KeyRange, RangeDigest, Row
from backends.state.protocol import StateStore
from replication.messages import Listed, RangePage

MOST_RANGES: Final = 4096
MOST_ROWS: Final = 2500
PAGE: Final = 1000


async def digests_in(
    state: StateStore,
    bucket: str,
    ranges: Sequence[KeyRange],
    *,
    before: int,
    buried_since: int,
) -> list[RangeDigest]:
    """As `StateStore.digests`; nothing where there is no such bucket."""
    try:
        return await state.digests(bucket, ranges, before=before, buried_since=buried_since)
    except BucketNotFound:
        return [RangeDigest()] * len(ranges)


async def rows_in(
    state: StateStore, bucket: str, ranges: Sequence[KeyRange], *, limit: int
) -> RangePage:
    """The first rows of the ranges, which are in order and do not overlap; all rows, however new.

    None where there is no such bucket.
    """
    rows: list[Listed] = []
    try:
        for within in joined(ranges):
            reached = await _read(state, bucket, within, rows, limit)
            if reached:
                return RangePage(tuple(rows), reached)
    except BucketNotFound:
        return RangePage(())
    return RangePage(tuple(rows))


async def _read(
    state: StateStore, bucket: str, within: KeyRange, rows: list[Listed], limit: int
) -> str:
    """Add the rows of the range; the key where `limit` was reached, "" where it was not."""
    after = within.after
    while True:
        wanted = min(PAGE, limit - len(rows))
        page = await state.inventory(bucket, after=after, upto=within.upto, limit=wanted)
        rows += map(listed, page)
        if len(page) < wanted:
            return ""
        after = page[-1].key
        if len(rows) >= limit:
            return after
        await asyncio.sleep(0)


def joined(ranges: Sequence[KeyRange]) -> list[KeyRange]:
    """The same keys in fewer ranges: those that lie side by side are one."""
    found: list[KeyRange] = []
    for within in ranges:
        if found and found[-1].upto and found[-1].upto == within.after:
            found[-1] = KeyRange(found[-1].after, within.upto)
        else:
            found.append(within)
    return found


def digest_with(digest: RangeDigest, row: Listed) -> RangeDigest:
    """What a state's index would say with this row more."""
    return RangeDigest(
        digest.objects + (not row.deleted),
        digest.tombstones + row.deleted,
        (digest.fingerprint + _fingerprint(row)) % MODULUS,
    )


def _fingerprint(row: Listed) -> int:
    if row.deleted:
        return tombstone_fingerprint(row.key, row.version)
    return object_fingerprint(row.key, row.version, row.etag, row.size, row.shared)


def listed(row: Row) -> Listed:
    """A row, as light as sites need it to compare."""
    facts = row.facts
    if row.deleted:
        return Listed(row.key, str(row.version), deleted=True)
    return Listed(row.key, str(row.version), facts.etag, facts.size, shared=shared_of(facts))
