"""The tables, as numbered migrations: once released, a line is never changed, only followed.

Keys are TEXT under SQLite's BINARY collation, which is the order of their UTF-8 bytes. Objects are
keyed by version though one version of a key is live today. Tombstones have a table of their own,
so that a listing never wades through deletes. Intents and discards hold only what is under way:
they are read whole, and an index would cost each write more than it saves.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec import json

from backends.database import Migration, neutral_errors
from backends.fingerprint import fingerprint_of
from backends.model import Facts, Row, Version
from backends.state.schema import SchemaStatus

FIRST: Final = """
CREATE TABLE buckets (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, created INTEGER NOT NULL, region TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX buckets_by_owner ON buckets (owner, name);

CREATE TABLE objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, stamp INTEGER NOT NULL, site TEXT NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL, owner TEXT NOT NULL, storage_class TEXT NOT NULL,
    algorithm TEXT NOT NULL, checksum_kind TEXT NOT NULL,
    locator TEXT NOT NULL, facts BLOB NOT NULL,
    PRIMARY KEY (bucket, key, stamp, site)
) WITHOUT ROWID;

CREATE TABLE tombstones (
    bucket TEXT NOT NULL, key TEXT NOT NULL, stamp INTEGER NOT NULL, site TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_age ON tombstones (stamp);

CREATE TABLE uploads (
    bucket TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
    started INTEGER NOT NULL, upload BLOB NOT NULL,
    PRIMARY KEY (bucket, key, name)
) WITHOUT ROWID;
CREATE INDEX uploads_by_age ON uploads (started);

CREATE TABLE parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, part BLOB NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;

CREATE TABLE intents (
    bucket TEXT NOT NULL, key TEXT NOT NULL, stamp INTEGER NOT NULL, site TEXT NOT NULL,
    expires INTEGER NOT NULL, intent BLOB NOT NULL,
    PRIMARY KEY (bucket, key, stamp, site)
) WITHOUT ROWID;

CREATE TABLE discards (
    locator TEXT NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (locator, bucket, key)
) WITHOUT ROWID;

CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL, key TEXT NOT NULL, event BLOB NOT NULL
);
CREATE INDEX outbox_by_object ON outbox (bucket, key);
CREATE TABLE subscriptions (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE leases (
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE access_keys (access_key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
"""

STORAGES: Final = """
ALTER TABLE buckets ADD COLUMN storage TEXT NOT NULL DEFAULT '';
ALTER TABLE intents ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
"""

# What was buried before counts from its version.
ARRIVALS: Final = """
ALTER TABLE tombstones ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
UPDATE tombstones SET since = stamp >> 16;
DROP INDEX tombstones_by_age;
CREATE INDEX tombstones_by_arrival ON tombstones (since);
"""

# The index holds all that ranges are compared by; tombstones are small enough to be read as such.
FINGERPRINTS: Final = (
    "ALTER TABLE objects ADD COLUMN fingerprint INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tombstones ADD COLUMN fingerprint INTEGER NOT NULL DEFAULT 0",
    "UPDATE objects SET fingerprint = object_fingerprint(key, facts)",
    "UPDATE tombstones SET fingerprint = tombstone_fingerprint(key, stamp, site)",
    "CREATE INDEX objects_by_fingerprint ON objects (bucket, key, stamp, fingerprint)",
)


def take_fingerprints(connection: sqlite3.Connection) -> None:
    """Of rows that a release wrote that took none."""
    connection.create_function("object_fingerprint", 2, _of_object, deterministic=True)
    connection.create_function("tombstone_fingerprint", 3, _of_tombstone, deterministic=True)
    for statement in FINGERPRINTS:
        connection.execute(statement)


def _of_object(key: str, facts: bytes) -> int:
    return fingerprint_of(Row("", key, json.decode(facts, type=Facts)))


def _of_tombstone(key: str, stamp: int, site: str) -> int:
    return fingerprint_of(Row("", key, Facts(Version(stamp, site)), deleted=True))


# When objects that were given an end come to it. An entry may outlive its object: only what names
# the version that is there counts.
EXPIRIES: Final = """
CREATE TABLE expiries (
    expires INTEGER NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL,
    stamp INTEGER NOT NULL, site TEXT NOT NULL,
    PRIMARY KEY (expires, bucket, key, stamp, site)
) WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[Migration, ...]] = (
    FIRST,
    STORAGES,
    ARRIVALS,
    take_fingerprints,
    EXPIRIES,
)


def status(path: Path) -> SchemaStatus:
    """How far the file has been migrated; nothing is changed, and none is made."""
    if not path.exists():
        return SchemaStatus(0, len(MIGRATIONS))
    address = f"{path.absolute().as_uri()}?mode=ro"
    with neutral_errors(path), closing(sqlite3.connect(address, uri=True)) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    return SchemaStatus(found, len(MIGRATIONS))
