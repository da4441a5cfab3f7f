"""Ranges of keys in PostgreSQL, as they are compared: digests, and where to split."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from asyncpg import Record

from backends.fingerprint import MODULUS, fingerprint_of
from backends.model import KeyRange, RangeDigest, stamp_at
from backends.state.postgres.records import BEHIND_ALL, columns, row_of
from backends.state.postgres.tables import Tables

BATCH: Final = 1000
WITHIN: Final = "bucket = $1 AND key > asked.after AND key <= asked.upto"
DIGESTS: Final = f"""
    SELECT asked.number, o.count, o.taken, t.count, coalesce(o.sum, 0) + coalesce(t.sum, 0)
    FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS asked (after, upto, number)
    CROSS JOIN LATERAL (
        SELECT count(*), count(fingerprint) AS taken, sum(fingerprint)
        FROM objects WHERE {WITHIN} AND stamp < $4
    ) o CROSS JOIN LATERAL (
        SELECT count(*), sum(fingerprint) FROM tombstones WHERE {WITHIN}
        AND stamp < $4 AND stamp >= $5
    ) t"""

# From one key to the next by counting through the index: nothing is sorted, or kept.
CUTS: Final = """
    WITH RECURSIVE cuts (key, number) AS (
        (SELECT key, 1 FROM {table} WHERE bucket = $1 AND key > $2 AND key <= $3
            ORDER BY bucket, key OFFSET $4 LIMIT 1)
        UNION ALL
        SELECT next.key, cuts.number + 1 FROM cuts CROSS JOIN LATERAL (
            SELECT key FROM {table} o WHERE o.bucket = $1 AND o.key > cuts.key AND o.key <= $3
            ORDER BY o.bucket, o.key OFFSET $4 LIMIT 1
        ) next WHERE cuts.number < $5
    ) SELECT key FROM cuts"""

UNTAKEN: Final = """
    SELECT key, stamp, site, facts FROM objects
    WHERE bucket = $1 AND key > $2 AND key <= $3 AND fingerprint IS NULL ORDER BY key LIMIT $4"""
TAKE: Final = """
    UPDATE objects o SET fingerprint = t.fingerprint
    FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::bigint[])
        AS t (key, stamp, site, fingerprint)
    WHERE o.bucket = $1 AND o.key = t.key AND o.stamp = t.stamp AND o.site = t.site"""


class RangeTable(Tables):
    """The verbs of the protocol that compare."""

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        await self._require_bucket(bucket)
        bounds = [_bounds(within) for within in ranges]
        parameters = (bucket.encode(), *columns(bounds)) if bounds else (b"", [], [])
        stamps = stamp_at(before), stamp_at(buried_since)
        while True:
            found = await self._connections.read(DIGESTS, *parameters, *stamps)
            untaken = [ranges[number - 1] for number, live, taken, *_ in found if taken < live]
            if not untaken:
                return [_digest(record) for record in sorted(found, key=itemgetter(0))]
            for within in untaken:
                await self._take_fingerprints(bucket, within)

    async def split(self, bucket: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        await self._require_bucket(bucket)
        parameters = (bucket.encode(), *_bounds(within), every - 1, limit)
        found: list[Record] = []
        for table in ("objects", "tombstones"):
            found += await self._connections.read(CUTS.format(table=table), *parameters)
        cuts = sorted(key for (key,) in found)
        return [key.decode() for key, _ in groupby(cuts)][:limit]

    async def _take_fingerprints(self, bucket: str, within: KeyRange) -> None:
        """Of the objects of a range that a release wrote that took none."""
        after, upto = _bounds(within)
        while True:
            found = await self._connections.read(UNTAKEN, bucket.encode(), after, upto, BATCH)
            if not found:
                return
            taken = [_taken(bucket, *record) for record in found]
            await self._connections.write(TAKE, bucket.encode(), *columns(taken))
            after = found[-1]["key"]


def _bounds(within: KeyRange) -> tuple[bytes, bytes]:
    return within.after.encode(), within.upto.encode() or BEHIND_ALL


def _digest(record: Record) -> RangeDigest:
    _, live, _, buried, total = record
    return RangeDigest(live, buried, int(total) % MODULUS)


def _taken(
    bucket: str, key: bytes, stamp: int, site: str, facts: bytes
) -> tuple[bytes, int, str, int]:
    return key, stamp, site, fingerprint_of(row_of(bucket, key.decode(), "", facts))
