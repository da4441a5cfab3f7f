"""Objects in PostgreSQL that were given an end, found by when they come to it.

An entry is written before its object is, and may outlive it: only what names the version that is
there counts. So writes of other objects, nearly all there are, know nothing of this.
"""

from typing import Final

from backends.model import Row
from backends.state.postgres.records import row_of
from backends.state.postgres.tables import Tables
from backends.state.protocol import Due

EXPIRIES: Final = """
CREATE TABLE expiries (
    expires bigint NOT NULL, bucket bytea NOT NULL, key bytea NOT NULL,
    stamp bigint NOT NULL, site text COLLATE "C" NOT NULL, since bigint NOT NULL,
    PRIMARY KEY (expires, bucket, key, stamp, site)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
"""
SETTLING: Final = 600_000  # far longer than a commit comes after its entry
EXPECT: Final = """
    INSERT INTO expiries VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (expires, bucket, key, stamp, site) DO UPDATE SET since = excluded.since"""
DUE: Final = """
    SELECT e.bucket, e.key, o.locator, o.facts FROM expiries e
    JOIN objects o ON o.bucket = e.bucket AND o.key = e.key
        AND o.stamp = e.stamp AND o.site = e.site
    WHERE (e.expires, e.bucket, e.key) > ($1, $2, $3) AND e.expires <= $4
    ORDER BY e.expires, e.bucket, e.key LIMIT $5"""
FORGET: Final = """
    DELETE FROM expiries e WHERE e.expires <= $1 AND e.since < $2 AND NOT EXISTS (
        SELECT FROM objects o WHERE o.bucket = e.bucket AND o.key = e.key
        AND o.stamp = e.stamp AND o.site = e.site)"""


class ExpiryTable(Tables):
    """The verbs of the protocol that expiry uses."""

    async def expired(self, *, after: Due, limit: int) -> list[Row]:
        found = await self._connections.read(
            DUE, after.expires, after.bucket.encode(), after.key.encode(), self._now(), limit
        )
        return [
            row_of(bucket.decode(), key.decode(), locator, facts)
            for bucket, key, locator, facts in found
        ]

    async def forget_expired(self) -> None:
        now = self._now()
        await self._connections.write(FORGET, now, now - SETTLING)

    async def _expect(self, row: Row) -> None:
        """Remember when the object comes to its end, if it was given one."""
        if row.facts.expires:
            version = row.version
            place = (row.bucket.encode(), row.key.encode())
            await self._connections.write(
                EXPECT, row.facts.expires, *place, version.stamp, version.site, self._now()
            )
