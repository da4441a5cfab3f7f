"""Objects in SQLite that were given an end, found by when they come to it."""

import sqlite3
from typing import Final

from backends.model import Row
from backends.state.protocol import Due
from backends.state.sqlite.records import row_of
from backends.state.sqlite.tables import Tables

DUE: Final = (
    "SELECT e.bucket, e.key, o.locator, o.facts FROM expiries e"
    " CROSS JOIN objects o USING (bucket, key, stamp, site)"
    " WHERE (e.expires, e.bucket, e.key) > (?, ?, ?) AND e.expires <= ?"
    " ORDER BY e.expires, e.bucket, e.key LIMIT ?"
)
FORGET: Final = (
    "DELETE FROM expiries AS e WHERE e.expires <= ? AND NOT EXISTS (SELECT 1 FROM objects o"
    " WHERE o.bucket = e.bucket AND o.key = e.key AND o.stamp = e.stamp AND o.site = e.site)"
)


class ExpiryTable(Tables):
    """The verbs of the protocol that expiry uses."""

    async def expired(self, *, after: Due, limit: int) -> list[Row]:
        found = self._database.read(DUE, (*after, self._now(), limit))
        return [row_of(bucket, key, record) for bucket, key, *record in found]

    async def forget_expired(self) -> None:
        now = self._now()

        def forget(connection: sqlite3.Connection) -> None:
            connection.execute(FORGET, (now,))

        await self._database.write(forget, durable=False)


def expect(connection: sqlite3.Connection, row: Row) -> None:
    """Remember when the object comes to its end, if it was given one."""
    if row.facts.expires:
        connection.execute(
            "INSERT OR REPLACE INTO expiries VALUES (?, ?, ?, ?, ?)",
            (row.facts.expires, row.bucket, row.key, row.version.stamp, row.version.site),
        )
