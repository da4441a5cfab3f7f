"""What a crash left to do, in SQLite: intents, discards, tombstones; and who does it."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from msgspec import json
from msgspec.structs import replace

from backends.model import Discard, Intent
from backends.state.sqlite.records import OF_VERSION, store_intent
from backends.state.sqlite.tables import Tables

INTENT: Final = json.Decoder(Intent)


class LeftoverTable(Tables):
    """The verbs of the protocol that recovery uses."""

    async def claim_expired_intents(self, *, lease: int, limit: int) -> list[Intent]:
        def claim(connection: sqlite3.Connection) -> list[Intent]:
            expired = connection.execute(
                "SELECT intent FROM intents WHERE expires <= ? ORDER BY expires LIMIT ?",
                (self._now(), limit),
            ).fetchall()
            claimed = [
                replace(INTENT.decode(data), expires=self._now() + lease) for (data,) in expired
            ]
            for intent in claimed:
                store_intent(connection, intent)
            return claimed

        return await self._database.write(claim, durable=False)

    async def drop_intent(self, intent: Intent) -> None:
        version = intent.version

        def drop(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"DELETE FROM intents {OF_VERSION}",
                (intent.bucket, intent.key, version.stamp, version.site),
            )

        await self._database.write(drop, durable=False)

    async def unsettled(self) -> int:
        found = self._database.read("SELECT count(*) FROM intents")
        return int(found[0][0])

    async def discards(self, *, older_than: int, limit: int) -> list[Discard]:
        found = self._database.read(
            "SELECT bucket, key, locator FROM discards WHERE since < ? ORDER BY since LIMIT ?",
            (self._now() - older_than, limit),
        )
        return [Discard(*record) for record in found]

    async def drop_discards(self, discards: Sequence[Discard]) -> None:
        gone = [(discard.locator, discard.bucket, discard.key) for discard in discards]

        def drop(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM discards WHERE locator = ? AND bucket = ? AND key = ?", gone
            )

        await self._database.write(drop, durable=False)

    async def purge_tombstones(self, *, older_than: int, limit: int) -> int:
        before = self._now() - older_than

        def purge(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM tombstones WHERE (bucket, key) IN ("
                " SELECT bucket, key FROM tombstones AS buried WHERE since < ?"
                " AND NOT EXISTS (SELECT 1 FROM outbox"
                "  WHERE outbox.bucket = buried.bucket AND outbox.key = buried.key)"
                " ORDER BY since LIMIT ?)",
                (before, limit),
            ).rowcount

        return await self._database.write(purge, durable=False)

    async def acquire(self, name: str, holder: str, *, lease: int) -> bool:
        def take(connection: sqlite3.Connection) -> bool:
            now = self._now()
            return bool(
                connection.execute(
                    "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET holder = excluded.holder, expires = excluded.expires"
                    " WHERE holder = excluded.holder OR expires <= ?",
                    (name, holder, now + lease, now),
                ).rowcount
            )

        return await self._database.write(take, durable=False)
