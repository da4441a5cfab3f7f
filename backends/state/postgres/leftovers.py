"""What a crash left to do, in PostgreSQL: intents, discards, tombstones; and who does it.

Nobody waits here for a row that another process has in hand: it is left for the next time.
"""

from collections.abc import Sequence
from typing import Final

from backends.model import Discard, Intent
from backends.state.postgres.records import columns, intent_of
from backends.state.postgres.tables import Tables

CLAIM: Final = """
    WITH due AS MATERIALIZED (
        SELECT bucket, key, stamp, site, expires FROM intents WHERE expires <= $1
        ORDER BY expires LIMIT $3 FOR UPDATE SKIP LOCKED
    ) UPDATE intents i SET expires = $2 FROM due
    WHERE i.bucket = due.bucket AND i.key = due.key AND i.stamp = due.stamp AND i.site = due.site
    RETURNING i.stamp, i.site, i.expires, i.intent, due.expires AS due"""

DROP_DISCARDS: Final = """
    WITH gone AS MATERIALIZED (
        SELECT d.bucket, d.key, d.locator
        FROM unnest($1::bytea[], $2::bytea[], $3::text[]) AS t (bucket, key, locator)
        JOIN discards d ON d.bucket = t.bucket AND d.key = t.key AND d.locator = t.locator
        FOR UPDATE OF d SKIP LOCKED
    ) DELETE FROM discards d USING gone
    WHERE d.bucket = gone.bucket AND d.key = gone.key AND d.locator = gone.locator"""

PURGE: Final = """
    WITH old AS MATERIALIZED (
        SELECT bucket, key FROM tombstones t WHERE since < $1
        AND NOT EXISTS (SELECT FROM outbox o WHERE o.bucket = t.bucket AND o.key = t.key)
        ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED
    ) DELETE FROM tombstones t USING old
    WHERE t.bucket = old.bucket AND t.key = old.key RETURNING 1"""

ACQUIRE: Final = """
    INSERT INTO leases AS l VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, expires = excluded.expires
    WHERE l.holder = excluded.holder OR l.expires <= $4 RETURNING 1"""


class LeftoverTable(Tables):
    """The verbs of the protocol that recovery uses."""

    async def claim_expired_intents(self, *, lease: int, limit: int) -> list[Intent]:
        now = self._now()
        claimed = await self._connections.write(CLAIM, now, now + lease, limit)
        return [
            intent_of(record)
            for record in sorted(claimed, key=lambda record: (record["due"], record["stamp"]))
        ]

    async def drop_intent(self, intent: Intent) -> None:
        version = intent.version
        await self._connections.write(
            "DELETE FROM intents WHERE bucket = $1 AND key = $2 AND stamp = $3 AND site = $4",
            intent.bucket.encode(),
            intent.key.encode(),
            version.stamp,
            version.site,
        )

    async def unsettled(self) -> int:
        [(count,)] = await self._connections.read("SELECT count(*) FROM intents")
        return int(count)

    async def discards(self, *, older_than: int, limit: int) -> list[Discard]:
        found = await self._connections.read(
            "SELECT bucket, key, locator FROM discards WHERE since < $1 ORDER BY since LIMIT $2",
            self._now() - older_than,
            limit,
        )
        return [Discard(bucket.decode(), key.decode(), locator) for bucket, key, locator in found]

    async def drop_discards(self, discards: Sequence[Discard]) -> None:
        gone = [(one.bucket.encode(), one.key.encode(), one.locator) for one in discards]
        if gone:
            await self._connections.write(DROP_DISCARDS, *columns(gone))

    async def purge_tombstones(self, *, older_than: int, limit: int) -> int:
        before = self._now() - older_than
        return len(await self._connections.write(PURGE, before, limit))

    async def acquire(self, name: str, holder: str, *, lease: int) -> bool:
        now = self._now()
        return bool(await self._connections.write(ACQUIRE, name, holder, now + lease, now))
