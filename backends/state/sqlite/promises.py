"""Promised writes in SQLite: begun, taken again under a new version, held."""

import sqlite3
from typing import Final

from msgspec.structs import replace

from backends.errors import Busy
from backends.model import UNCONDITIONAL, Intent, Precondition, Version
from backends.preconditions import require_current, require_newer
from backends.state.sqlite.records import (
    ENCODER,
    OF_KEY,
    OF_VERSION,
    delete_intent,
    newest_row,
    require_bucket,
    require_intent,
    require_live,
    require_upload,
    store_intent,
)
from backends.state.sqlite.tables import Tables

ALONE: Final = f"SELECT 1 FROM intents {OF_KEY} AND alone"
PROMISED: Final = f"SELECT 1 FROM intents {OF_VERSION}"


class PromiseTable(Tables):
    """The verbs of the protocol that promise writes."""

    async def begin(
        self,
        bucket: str,
        key: str,
        *,
        lease: int,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
        alone: bool = False,
        deletes: bool = False,
        version: Version | None = None,
        again: bool = False,
    ) -> Intent:
        def promise(connection: sqlite3.Connection) -> Intent:
            require_bucket(connection, bucket)
            if version:
                _require_rank(connection, bucket, key, version, again=again)
                _require_unpromised(connection, bucket, key, version)
            if alone:
                _require_nobody(connection, bucket, key)
            if upload:
                require_upload(connection, bucket, key, upload)
            require_live(connection, bucket, key, condition)
            promised = version or self._next_version(connection, bucket, key)
            intent = Intent(
                bucket,
                key,
                promised,
                expires=self._now() + lease,
                upload=upload,
                condition=condition,
                begun=promised,
                alone=alone,
                deletes=deletes,
                replica=version is not None,
                again=again,
            )
            _insert_intent(connection, intent)
            return intent

        return await self._database.write(promise, durable=False)

    async def restamp(self, intent: Intent, *, lease: int, alone: bool = False) -> Intent:
        def promise(connection: sqlite3.Connection) -> Intent:
            require_intent(connection, intent)
            if alone and not intent.alone:
                _require_turn(connection, intent)
            version = intent.version
            if not intent.replica:
                version = self._next_version(connection, intent.bucket, intent.key)
            delete_intent(connection, intent.bucket, intent.key, intent.version)
            promised = replace(
                intent,
                version=version,
                expires=self._now() + lease,
                alone=alone or intent.alone,
            )
            _insert_intent(connection, promised)
            return promised

        return await self._database.write(promise, durable=False)

    async def is_changing(self, bucket: str, key: str) -> bool:
        return bool(self._database.read(ALONE, (bucket, key)))

    async def renew(self, intent: Intent, *, lease: int) -> Intent:
        def hold(connection: sqlite3.Connection) -> Intent:
            require_intent(connection, intent)
            held = replace(intent, expires=self._now() + lease)
            store_intent(connection, held)
            return held

        return await self._database.write(hold, durable=False)

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


def _insert_intent(connection: sqlite3.Connection, intent: Intent) -> None:
    version = intent.version
    connection.execute(
        "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            intent.bucket,
            intent.key,
            version.stamp,
            version.site,
            intent.expires,
            ENCODER.encode(intent),
            intent.alone,
        ),
    )


def _require_turn(connection: sqlite3.Connection, intent: Intent) -> None:
    """Return if the intent may have the key alone, and is still worth it."""
    bucket, key = intent.bucket, intent.key
    if intent.replica:
        _require_rank(connection, bucket, key, intent.version, again=intent.again)
    _require_nobody(connection, bucket, key)
    require_live(connection, bucket, key, intent.condition)


def _require_nobody(connection: sqlite3.Connection, bucket: str, key: str) -> None:
    """Return if no writer has the key alone."""
    if connection.execute(ALONE, (bucket, key)).fetchone():
        raise Busy(f"{bucket}/{key} is being written by another client")


def _require_rank(
    connection: sqlite3.Connection, bucket: str, key: str, version: Version, *, again: bool
) -> None:
    """Return if the version is above that of the key's newest row; with `again`, if it is that."""
    allow = require_current if again else require_newer
    allow(newest_row(connection, bucket, key), version, f"{bucket}/{key}")


def _require_unpromised(
    connection: sqlite3.Connection, bucket: str, key: str, version: Version
) -> None:
    """Return if no other intent has the version."""
    if connection.execute(PROMISED, (bucket, key, version.stamp, version.site)).fetchone():
        raise Busy(f"{bucket}/{key}: {version} is being written already")
