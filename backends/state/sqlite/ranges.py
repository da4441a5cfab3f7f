"""Ranges of keys in SQLite, as they are compared: digests, and where to split. Read in a thread."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from backends.fingerprint import MODULUS
from backends.model import KeyRange, RangeDigest, stamp_at
from backends.state.sqlite.records import ABOVE_ALL
from backends.state.sqlite.tables import Tables

OBJECTS: Final = "objects INDEXED BY objects_by_fingerprint"
TOMBSTONES: Final = "tombstones"
WITHIN: Final = "WHERE bucket = ?1 AND key > ?2 AND key <= ?3"
# In halves: the sum of whole ones does not fit.
SUMS: Final = "sum(fingerprint & 4294967295) AS low, sum(fingerprint >> 32) AS high"
DIGEST: Final = (
    "SELECT sum(live), sum(buried), sum(low), sum(high) FROM ("
    f"SELECT count(*) AS live, 0 AS buried, {SUMS} FROM {OBJECTS} {WITHIN} AND stamp < ?4"
    f" UNION ALL SELECT 0, count(*), {SUMS} FROM {TOMBSTONES}"
    f" {WITHIN} AND stamp < ?4 AND stamp >= ?5)"
)
CUT: Final = f"SELECT key FROM {{table}} {WITHIN} ORDER BY key LIMIT 1 OFFSET ?4"


class RangeTable(Tables):
    """The verbs of the protocol that compare."""

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        self._require_bucket(bucket)
        stamps = stamp_at(before), stamp_at(buried_since)
        return await self._database.scan(
            lambda connection: [_digest(connection, bucket, within, *stamps) for within in ranges]
        )

    async def split(self, bucket: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        self._require_bucket(bucket)
        cut = partial(_cuts, bucket=bucket, within=within, every=every, limit=limit)
        cuts = await self._database.scan(
            lambda connection: cut(connection, OBJECTS) + cut(connection, TOMBSTONES)
        )
        return sorted(set(cuts))[:limit]


def _digest(
    connection: sqlite3.Connection, bucket: str, within: KeyRange, below: int, buried_from: int
) -> RangeDigest:
    parameters = (bucket, within.after, within.upto or ABOVE_ALL, below, buried_from)
    live, buried, low, high = connection.execute(DIGEST, parameters).fetchone()
    return RangeDigest(live, buried, ((low or 0) + ((high or 0) << 32)) % MODULUS)


def _cuts(
    connection: sqlite3.Connection,
    table: str,
    *,
    bucket: str,
    within: KeyRange,
    every: int,
    limit: int,
) -> list[str]:
    """Every so many-th key of the range in the table."""
    cuts: list[str] = []
    after, sql = within.after, CUT.format(table=table)
    while len(cuts) < limit:
        parameters = (bucket, after, within.upto or ABOVE_ALL, every - 1)
        found = connection.execute(sql, parameters).fetchone()
        if found is None:
            return cuts
        (after,) = found
        cuts.append(after)
    return cuts
