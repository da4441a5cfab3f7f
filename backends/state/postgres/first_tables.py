"""The tables of the first migration.

What clients name (buckets, keys, uploads, access keys) is `bytea`: the UTF-8 of the name. It is
ordered byte by byte whatever the database's collation, and holds the NUL that `text` cannot.
Facts are JSON as bytes. Tombstones have a table of their own, so that a listing never wades
through deletes. What comes and goes with each write is vacuumed early.
"""

from typing import Final

TABLES: Final = """
CREATE TABLE buckets (
    name bytea PRIMARY KEY, owner text COLLATE "C" NOT NULL, created bigint NOT NULL,
    region text NOT NULL, storage text NOT NULL
);
CREATE INDEX buckets_by_owner ON buckets (owner, name);

CREATE TABLE objects (
    bucket bytea NOT NULL, key bytea NOT NULL,
    stamp bigint NOT NULL, site text COLLATE "C" NOT NULL,
    size bigint NOT NULL, etag text NOT NULL, owner text NOT NULL, storage_class text NOT NULL,
    algorithm text NOT NULL, checksum_kind text NOT NULL,
    locator text NOT NULL, facts bytea NOT NULL,
    PRIMARY KEY (bucket, key, stamp, site)
);

CREATE TABLE tombstones (
    bucket bytea NOT NULL, key bytea NOT NULL,
    stamp bigint NOT NULL, site text COLLATE "C" NOT NULL,
    PRIMARY KEY (bucket, key)
);
CREATE INDEX tombstones_by_age ON tombstones (stamp);

CREATE TABLE uploads (
    bucket bytea NOT NULL, key bytea NOT NULL, name bytea NOT NULL,
    started bigint NOT NULL, upload bytea NOT NULL,
    PRIMARY KEY (bucket, key, name)
);
CREATE INDEX uploads_by_age ON uploads (started);

CREATE TABLE parts (
    upload bytea NOT NULL, number integer NOT NULL, part bytea NOT NULL,
    PRIMARY KEY (upload, number)
);

CREATE TABLE intents (
    bucket bytea NOT NULL, key bytea NOT NULL,
    stamp bigint NOT NULL, site text COLLATE "C" NOT NULL,
    expires bigint NOT NULL, alone boolean NOT NULL, intent bytea NOT NULL,
    PRIMARY KEY (bucket, key, stamp, site)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX intents_by_end ON intents (expires);

CREATE TABLE discards (
    bucket bytea NOT NULL, key bytea NOT NULL, locator text NOT NULL, since bigint NOT NULL,
    PRIMARY KEY (bucket, key, locator)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX discards_by_age ON discards (since);

CREATE TABLE outbox (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket bytea NOT NULL, key bytea NOT NULL, stamp bigint NOT NULL, site text NOT NULL,
    event bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX outbox_by_object ON outbox (bucket, key);
CREATE TABLE subscriptions (name text COLLATE "C" PRIMARY KEY, cursor bigint NOT NULL);

CREATE TABLE leases (
    name text COLLATE "C" PRIMARY KEY, holder text NOT NULL, expires bigint NOT NULL
);
CREATE TABLE access_keys (access_key bytea PRIMARY KEY, data bytea NOT NULL);
"""
