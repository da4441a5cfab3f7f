"""Rows of the tables, to and from our nouns."""

import sqlite3
from typing import Any, Final

from msgspec import json

from backends.errors import BucketNotFound, UploadNotFound
from backends.model import Checksum, Facts, Row

FACTS: Final = json.Decoder(Facts)
ENCODER: Final = json.Encoder()
NO_CHECKSUM: Final = Checksum("", "")

LIVE: Final = (
    "SELECT locator, facts FROM objects WHERE bucket = ? AND key = ?"
    " ORDER BY stamp DESC, site DESC LIMIT 1"
)
STORE: Final = "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def row_of(bucket: str, key: str, record: tuple[Any, ...]) -> Row:
    """A Row from what LIVE answers."""
    return Row(bucket, key, FACTS.decode(record[1]), record[0])


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
