"""Objects in SQLite: rows, tombstones and the intents that come before them."""

import sqlite3
from typing import Final

from msgspec.structs import replace

from backends.errors import NotFound, Unavailable
from backends.model import (
    UNCONDITIONAL,
    Entry,
    Event,
    Facts,
    Intent,
    Precondition,
    Row,
    Version,
)
from backends.preconditions import require
from backends.ranges import key_range
from backends.state.protocol import Committed
from backends.state.sqlite.records import (
    ENCODER,
    LIVE,
    STORE,
    end_upload,
    record_of,
    require_bucket,
    require_upload,
    row_of,
)
from backends.state.sqlite.tables import Tables

PAGE: Final = (
    "SELECT key, stamp, size, etag, owner, storage_class, algorithm, checksum_kind FROM objects"
)
OF_KEY: Final = "WHERE bucket = ? AND key = ?"
OF_VERSION: Final = f"{OF_KEY} AND stamp = ? AND site = ?"


class ObjectTable(Tables):
    """The verbs of the protocol that are about objects."""

    async def find(self, bucket: str, key: str) -> Row:
        found = self._database.read(LIVE, (bucket, key))
        if found:
            return row_of(bucket, key, found[0])
        self._require_bucket(bucket)
        raise NotFound(f"{bucket}/{key}: there is no object")

    async def page(self, bucket: str, *, prefix: str, after: str, limit: int) -> list[Entry]:
        condition, parameters = key_range(prefix, after)
        found = self._database.read(
            f"{PAGE} WHERE bucket = ? AND {condition} ORDER BY key LIMIT ?",
            (bucket, *parameters, limit),
        )
        if not found:
            self._require_bucket(bucket)
        return list(map(Entry._make, found))

    async def begin(
        self,
        bucket: str,
        key: str,
        *,
        lease: int,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
    ) -> Intent:
        def promise(connection: sqlite3.Connection) -> Intent:
            require_bucket(connection, bucket)
            if upload:
                require_upload(connection, bucket, key, upload)
            _require(connection, bucket, key, condition)
            version = self._next_version(connection, bucket, key)
            intent = Intent(bucket, key, version, self._now() + lease, upload, condition)
            _insert_intent(connection, intent)
            return intent

        return await self._database.write(promise, durable=False)

    async def restamp(self, intent: Intent, *, lease: int) -> Intent:
        def promise(connection: sqlite3.Connection) -> Intent:
            _require_intent(connection, intent)
            version = self._next_version(connection, intent.bucket, intent.key)
            _delete_intent(connection, intent.bucket, intent.key, intent.version)
            promised = replace(intent, version=version, expires=self._now() + lease)
            _insert_intent(connection, promised)
            return promised

        return await self._database.write(promise, durable=False)

    async def renew(self, intent: Intent, *, lease: int) -> Intent:
        def hold(connection: sqlite3.Connection) -> Intent:
            _require_intent(connection, intent)
            held = replace(intent, expires=self._now() + lease)
            store_intent(connection, held)
            return held

        return await self._database.write(hold, durable=False)

    async def commit(
        self,
        row: Row,
        event: Event,
        *,
        intent: Intent | None = None,
        condition: Precondition = UNCONDITIONAL,
        upload: str = "",
    ) -> Committed:
        def settle(connection: sqlite3.Connection) -> Committed:
            require_bucket(connection, row.bucket)
            live = _live(connection, row.bucket, row.key)
            newest = live.version if live else _buried(connection, row)
            if newest == row.version:
                return Committed(won=True)
            if intent:
                _require_intent(connection, intent)
            require(condition, live.facts if live else None, f"{row.bucket}/{row.key}")
            if newest and newest > row.version:
                return Committed(won=False)
            self._replace(connection, live, row)
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
    ) -> Row | None:
        def remove(connection: sqlite3.Connection) -> Row | None:
            require_bucket(connection, bucket)
            live = _require(connection, bucket, key, condition)
            if live is None:
                return None
            version = self._next_version(connection, bucket, key)
            self._replace(connection, live, Row(bucket, key, Facts(version), deleted=True))
            self._publish(connection, Event(event_name, bucket, key, version, operation=operation))
            return live

        if condition == UNCONDITIONAL and not self._database.read(LIVE, (bucket, key)):
            self._require_bucket(bucket)
            return None
        return await self._database.write(remove)

    def _next_version(self, connection: sqlite3.Connection, bucket: str, key: str) -> Version:
        """Above every version of the key, written or promised, whatever the wall clock says."""
        tables = ("objects", "tombstones", "intents")
        highest = max(
            connection.execute(
                f"SELECT max(stamp) FROM {table} {OF_KEY}", (bucket, key)
            ).fetchone()[0]
            or 0
            for table in tables
        )
        return Version(self._clock.stamp(after=highest), self._site)

    def _replace(self, connection: sqlite3.Connection, live: Row | None, row: Row) -> None:
        """Put `row` in the place of what is there, with the version's intent fulfilled."""
        of_key = (row.bucket, row.key)
        connection.execute(f"DELETE FROM objects {OF_KEY}", of_key)
        if row.deleted:
            connection.execute(
                "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?)",
                (*of_key, row.version.stamp, row.version.site),
            )
        else:
            connection.execute(f"DELETE FROM tombstones {OF_KEY}", of_key)
            connection.execute(STORE, record_of(row))
        _delete_intent(connection, row.bucket, row.key, row.version)
        if live and live.locator and live.locator != row.locator:
            connection.execute(
                "INSERT OR REPLACE INTO discards VALUES (?, ?, ?, ?)",
                (live.locator, *of_key, self._now()),
            )

    def _publish(self, connection: sqlite3.Connection, event: Event) -> None:
        """Keep the event if anyone will read it."""
        connection.execute(
            "INSERT INTO outbox (bucket, key, event)"
            " SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM subscriptions)",
            (event.bucket, event.key, ENCODER.encode(event)),
        )


def _insert_intent(connection: sqlite3.Connection, intent: Intent) -> None:
    version = intent.version
    connection.execute(
        "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?)",
        (
            intent.bucket,
            intent.key,
            version.stamp,
            version.site,
            intent.expires,
            ENCODER.encode(intent),
        ),
    )


def _delete_intent(connection: sqlite3.Connection, bucket: str, key: str, version: Version) -> None:
    connection.execute(
        f"DELETE FROM intents {OF_VERSION}", (bucket, key, version.stamp, version.site)
    )


def store_intent(connection: sqlite3.Connection, intent: Intent) -> None:
    """Keep an intent's new lease."""
    connection.execute(
        f"UPDATE intents SET expires = ?, intent = ? {OF_VERSION}",
        (
            intent.expires,
            ENCODER.encode(intent),
            intent.bucket,
            intent.key,
            intent.version.stamp,
            intent.version.site,
        ),
    )


def _live(connection: sqlite3.Connection, bucket: str, key: str) -> Row | None:
    found = connection.execute(LIVE, (bucket, key)).fetchone()
    return row_of(bucket, key, found) if found else None


def _buried(connection: sqlite3.Connection, row: Row) -> Version | None:
    found = connection.execute(
        f"SELECT stamp, site FROM tombstones {OF_KEY}", (row.bucket, row.key)
    ).fetchone()
    return Version(*found) if found else None


def _require(
    connection: sqlite3.Connection, bucket: str, key: str, condition: Precondition
) -> Row | None:
    live = _live(connection, bucket, key)
    require(condition, live.facts if live else None, f"{bucket}/{key}")
    return live


def _require_intent(connection: sqlite3.Connection, intent: Intent) -> None:
    version = intent.version
    found = connection.execute(
        f"SELECT expires FROM intents {OF_VERSION}",
        (intent.bucket, intent.key, version.stamp, version.site),
    ).fetchone()
    if found != (intent.expires,):
        raise Unavailable(f"{intent.bucket}/{intent.key}: the lease of {version} ran out")
