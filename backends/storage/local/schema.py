"""The catalog's tables, as numbered migrations: once released, a line is only followed.

An object is a row and, unless its body is in the row, its pieces in order. A piece or part lies in
a segment file, or in the catalog itself where it is small. Objects that were copied share their
segments. `id` is the locator; it never returns.
"""

from typing import Final

FIRST: Final = """
CREATE TABLE buckets (name TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE objects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL, key TEXT NOT NULL, stamp INTEGER NOT NULL, site TEXT NOT NULL,
    size INTEGER NOT NULL, facts BLOB NOT NULL, body BLOB
);
CREATE INDEX objects_by_key ON objects (bucket, key, stamp, site);

CREATE TABLE pieces (
    object INTEGER NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL,
    segment TEXT, body BLOB,
    PRIMARY KEY (object, start)
) WITHOUT ROWID;
CREATE INDEX pieces_by_segment ON pieces (segment) WHERE segment IS NOT NULL;

CREATE TABLE parts (
    bucket TEXT NOT NULL, upload TEXT NOT NULL, token TEXT NOT NULL,
    size INTEGER NOT NULL, segment TEXT, body BLOB,
    PRIMARY KEY (bucket, upload, token)
) WITHOUT ROWID;
CREATE INDEX parts_by_segment ON parts (segment) WHERE segment IS NOT NULL;

CREATE TABLE trash (segment TEXT PRIMARY KEY) WITHOUT ROWID;
"""

BUCKETS_HAVE_OWNERS: Final = """
ALTER TABLE buckets ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE buckets ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
ALTER TABLE buckets ADD COLUMN region TEXT NOT NULL DEFAULT '';
"""

MIGRATIONS: Final = (FIRST, BUCKETS_HAVE_OWNERS)
