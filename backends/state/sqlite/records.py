"""Rows of the tables, to and from our nouns."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from msgspec import json

from backends.errors import BucketNotFound, Unavailable, UploadNotFound
from backends.fingerprint import fingerprint_of
from backends.model import Checksum, Facts, Intent, Precondition, Row, Version
from backends.preconditions import require

FACTS: Final = json.Decoder(Facts)
ENCODER: Final = json.Encoder()
NO_CHECKSUM: Final = Checksum("", "")

ABOVE_ALL: Final = b""  # SQLite orders blobs above all texts

OF_KEY: Final = "WHERE bucket = ? AND key = ?"
OF_VERSION: Final = f"{OF_KEY} AND stamp = ? AND site = ?"
LIVE: Final = f"SELECT locator, facts FROM objects {OF_KEY} ORDER BY stamp DESC, site DESC LIMIT 1"
NEWEST: Final = (
    f"SELECT locator, facts, stamp, site FROM objects {OF_KEY}"
    f" UNION ALL SELECT NULL, NULL, stamp, site FROM tombstones {OF_KEY}"
    " ORDER BY stamp DESC, site DESC LIMIT 1"
)
STORE: Final = "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def row_of(bucket: str, key: str, record: Sequence[Any]) -> Row:
    """A Row from what LIVE answers."""
    return Row(bucket, key, FACTS.decode(record[1]), record[0])


def tombstone_of(bucket: str, key: str, stamp: int, site: str) -> Row:
    """The row of a deleted key."""
    return Row(bucket, key, Facts(Version(stamp, site)), deleted=True)


def newest_of(bucket: str, key: str, record: Sequence[Any]) -> Row:
    """A Row, or a tombstone's, from what NEWEST answers."""
    locator, facts, stamp, site = record
    if facts is None:
        return tombstone_of(bucket, key, stamp, site)
    return row_of(bucket, key, (locator, facts))


def record_of(row: Row) -> tuple[Any, ...]:
    """What STORE takes."""
    facts = row.facts
    checksum = facts.checksum or NO_CHECKSUM
    return (
        row.bucket,
        row.key,
        facts.version.stamp,
        facts.version.site,
        facts.size,
        facts.etag,
        facts.owner,
        facts.storage_class,
        checksum.algorithm,
        checksum.kind.value if checksum.algorithm else "",
        row.locator,
        ENCODER.encode(facts),
        fingerprint_of(row),
    )


def require_bucket(connection: sqlite3.Connection, name: str) -> None:
    """Return if there is such a bucket."""
    if not connection.execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone():
        raise BucketNotFound(f"there is no bucket {name}")


def require_upload(connection: sqlite3.Connection, bucket: str, key: str, name: str) -> None:
    """Return if there is such an upload."""
    found = connection.execute(
        "SELECT 1 FROM uploads WHERE bucket = ? AND key = ? AND name = ?", (bucket, key, name)
    )
    if not found.fetchone():
        raise UploadNotFound(f"{bucket}/{key}: there is no upload {name}")


def end_upload(connection: sqlite3.Connection, bucket: str, key: str, name: str) -> None:
    """Remove the upload and its parts."""
    connection.execute(
        "DELETE FROM uploads WHERE bucket = ? AND key = ? AND name = ?", (bucket, key, name)
    )
    connection.execute("DELETE FROM parts WHERE upload = ?", (name,))


def live_row(connection: sqlite3.Connection, bucket: str, key: str) -> Row | None:
    """The key's live row, if it has one."""
    found = connection.execute(LIVE, (bucket, key)).fetchone()
    return row_of(bucket, key, found) if found else None


def newest_row(connection: sqlite3.Connection, bucket: str, key: str) -> Row | None:
    """The key's newest row, a tombstone too."""
    found = connection.execute(NEWEST, (bucket, key, bucket, key)).fetchone()
    return newest_of(bucket, key, found) if found else None


def require_live(
    connection: sqlite3.Connection, bucket: str, key: str, condition: Precondition
) -> Row | None:
    """The key's live row, if it has one, of which the condition holds."""
    live = live_row(connection, bucket, key)
    require(condition, live.facts if live else None, f"{bucket}/{key}")
    return live


def store_intent(connection: sqlite3.Connection, intent: Intent) -> None:
    """Keep an intent's new lease."""
    version = intent.version
    connection.execute(
        f"UPDATE intents SET expires = ?, intent = ? {OF_VERSION}",
        (
            intent.expires,
            ENCODER.encode(intent),
            intent.bucket,
            intent.key,
            version.stamp,
            version.site,
        ),
    )


def delete_intent(connection: sqlite3.Connection, bucket: str, key: str, version: Version) -> None:
    """Remove the promise of that version, if there is one."""
    connection.execute(
        f"DELETE FROM intents {OF_VERSION}", (bucket, key, version.stamp, version.site)
    )


def require_intent(connection: sqlite3.Connection, intent: Intent) -> None:
    """Return if the intent is there and nobody took it. Unavailable."""
    version = intent.version
    found = connection.execute(
        f"SELECT expires FROM intents {OF_VERSION}",
        (intent.bucket, intent.key, version.stamp, version.site),
    ).fetchone()
    if found != (intent.expires,):
        raise Unavailable(f"{intent.bucket}/{intent.key}: the lease of {version} ran out")
