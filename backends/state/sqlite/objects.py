"""Objects in SQLite: rows, tombstones, and their events."""

import sqlite3
from heapq import merge
from itertools import islice
from typing import Final

from backends.errors import NotFound
from backends.fingerprint import fingerprint_of
from backends.model import UNCONDITIONAL, Entry, Event, Facts, Intent, Precondition, Row
from backends.preconditions import require
from backends.ranges import key_range
from backends.state.protocol import Committed
from backends.state.sqlite.expiries import expect
from backends.state.sqlite.promises import PromiseTable
from backends.state.sqlite.records import (
    ABOVE_ALL,
    ENCODER,
    LIVE,
    NEWEST,
    OF_KEY,
    OF_VERSION,
    STORE,
    delete_intent,
    end_upload,
    newest_of,
    newest_row,
    record_of,
    require_bucket,
    require_intent,
    require_live,
    row_of,
    tombstone_of,
)

PAGE: Final = (
    "SELECT key, stamp, size, etag, owner, storage_class, algorithm, checksum_kind FROM objects"
)
WITHIN: Final = "WHERE bucket = ? AND key > ? AND key <= ? ORDER BY key LIMIT ?"


class ObjectTable(PromiseTable):
    """The verbs of the protocol that are about objects."""

    async def find(self, bucket: str, key: str) -> Row:
        found = self._database.read(LIVE, (bucket, key))
        if found:
            return row_of(bucket, key, found[0])
        self._require_bucket(bucket)
        raise NotFound(f"{bucket}/{key}: there is no object")

    async def newest(self, bucket: str, key: str) -> Row | None:
        found = self._database.read(NEWEST, (bucket, key, bucket, key))
        if found:
            return newest_of(bucket, key, found[0])
        self._require_bucket(bucket)
        return None

    async def page(self, bucket: str, *, prefix: str, after: str, limit: int) -> list[Entry]:
        condition, parameters = key_range(prefix, after)
        found = self._database.read(
            f"{PAGE} WHERE bucket = ? AND {condition} ORDER BY key LIMIT ?",
            (bucket, *parameters, limit),
        )
        if not found:
            self._require_bucket(bucket)
        return list(map(Entry._make, found))

    async def inventory(self, bucket: str, *, after: str, limit: int, upto: str = "") -> list[Row]:
        self._require_bucket(bucket)
        within = (bucket, after, upto or ABOVE_ALL, limit)
        live = self._database.read(f"SELECT key, locator, facts FROM objects {WITHIN}", within)
        buried = self._database.read(f"SELECT key, stamp, site FROM tombstones {WITHIN}", within)
        rows = merge(
            (row_of(bucket, key, record) for key, *record in live),
            (tombstone_of(bucket, *record) for record in buried),
            key=lambda row: row.key.encode(),
        )
        return list(islice(rows, limit))

    async def commit(
        self,
        row: Row,
        event: Event | None,
        *,
        intent: Intent | None = None,
        condition: Precondition = UNCONDITIONAL,
        upload: str = "",
        overwrote: bool = False,
    ) -> Committed:
        def settle(connection: sqlite3.Connection) -> Committed:
            require_bucket(connection, row.bucket)
            newest = newest_row(connection, row.bucket, row.key)
            live = newest if newest and not newest.deleted else None
            if intent and intent.again:
                return self._relocate(connection, live, row, intent, discards=not overwrote)
            if newest and newest.version == row.version:
                return Committed(won=True)
            if intent:
                require_intent(connection, intent)
            require(condition, live.facts if live else None, f"{row.bucket}/{row.key}")
            if newest and newest.version > row.version:
                return Committed(won=False)
            self._replace(connection, live, row, discards=not overwrote)
            if event:
                self._publish(connection, event)
            if upload:
                end_upload(connection, row.bucket, row.key, upload)
            return Committed(won=True, replaced=live)

        return await self._database.write(settle)

    async def bury(
        self,
        bucket: str,
        key: str,
        event_name: str,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
        intent: Intent | None = None,
    ) -> Row | None:
        def remove(connection: sqlite3.Connection) -> Row | None:
            require_bucket(connection, bucket)
            live = require_live(connection, bucket, key, condition)
            if intent:
                require_intent(connection, intent)
                delete_intent(connection, bucket, key, intent.version)
            if live is None:
                return None
            version = self._next_version(connection, bucket, key)
            buried = Row(bucket, key, Facts(version), deleted=True)
            self._replace(connection, live, buried, discards=intent is None)
            self._publish(connection, Event(event_name, bucket, key, version, operation=operation))
            return live

        absent = not intent and not self._database.read(LIVE, (bucket, key))
        if condition == UNCONDITIONAL and absent:
            self._require_bucket(bucket)
            return None
        return await self._database.write(remove)

    def _relocate(
        self,
        connection: sqlite3.Connection,
        live: Row | None,
        row: Row,
        intent: Intent,
        *,
        discards: bool,
    ) -> Committed:
        """Give the live row other bytes, if it is of just that version; the intent ends."""
        current = live if live and live.version == row.version else None
        if current and current.locator == row.locator:
            delete_intent(connection, row.bucket, row.key, row.version)
            return Committed(won=True)
        require_intent(connection, intent)
        if current is None:
            return Committed(won=False)
        connection.execute(
            f"UPDATE objects SET locator = ? {OF_VERSION}",
            (row.locator, row.bucket, row.key, row.version.stamp, row.version.site),
        )
        delete_intent(connection, row.bucket, row.key, row.version)
        self._discard(connection, current if discards else None, row)
        return Committed(won=True, replaced=current)

    def _replace(
        self, connection: sqlite3.Connection, live: Row | None, row: Row, *, discards: bool
    ) -> None:
        """Put `row` in the place of what is there, with the version's intent fulfilled."""
        of_key = (row.bucket, row.key)
        connection.execute(f"DELETE FROM objects {OF_KEY}", of_key)
        if row.deleted:
            connection.execute(
                "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?, ?)",
                (*of_key, row.version.stamp, row.version.site, self._now(), fingerprint_of(row)),
            )
        else:
            connection.execute(f"DELETE FROM tombstones {OF_KEY}", of_key)
            connection.execute(STORE, record_of(row))
            expect(connection, row)
        delete_intent(connection, row.bucket, row.key, row.version)
        self._discard(connection, live if discards else None, row)

    def _discard(self, connection: sqlite3.Connection, old: Row | None, row: Row) -> None:
        """The bytes of the old row are to go, unless they are those of the new one."""
        if old and old.locator and old.locator != row.locator:
            connection.execute(
                "INSERT OR REPLACE INTO discards VALUES (?, ?, ?, ?)",
                (old.locator, row.bucket, row.key, self._now()),
            )

    def _publish(self, connection: sqlite3.Connection, event: Event) -> None:
        """Keep the event if anyone will read it."""
        connection.execute(
            "INSERT INTO outbox (bucket, key, event)"
            " SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM subscriptions)",
            (event.bucket, event.key, ENCODER.encode(event)),
        )
