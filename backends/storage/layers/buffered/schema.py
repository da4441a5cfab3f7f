"""The journal's tables, as numbered migrations: once released, a line is only followed.

`pending` is the truth: one row a key, the last write of it that the storage has not taken yet.
`token` names the row, and the bytes of a put in the buffer's store. `arriving` are bodies on their
way in: `holder` is the process that receives them. `uploads` are multipart uploads that live in the
buffer, with the bytes of their parts. `space` counts what all of them take.
"""

from typing import Final

FIRST: Final = """
CREATE TABLE pending (
    bucket TEXT NOT NULL, key TEXT NOT NULL, token TEXT NOT NULL, deletes INTEGER NOT NULL,
    locator TEXT NOT NULL, size INTEGER NOT NULL, facts BLOB, since INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_try INTEGER NOT NULL, error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX pending_by_token ON pending (token);
CREATE INDEX pending_by_age ON pending (since);

CREATE TABLE arriving (
    token TEXT PRIMARY KEY, holder TEXT NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE uploads (
    token TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0, ended INTEGER
) WITHOUT ROWID;
CREATE INDEX uploads_by_name ON uploads (name);

CREATE TABLE buckets (name TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE space (bytes INTEGER NOT NULL, entries INTEGER NOT NULL, waiting INTEGER NOT NULL);
INSERT INTO space VALUES (0, 0, 0);

CREATE TRIGGER pending_in AFTER INSERT ON pending BEGIN
    UPDATE space SET bytes = bytes + new.size, entries = entries + 1, waiting = waiting + new.size;
END;
CREATE TRIGGER pending_out AFTER DELETE ON pending BEGIN
    UPDATE space SET bytes = bytes - old.size, entries = entries - 1, waiting = waiting - old.size;
END;
CREATE TRIGGER arriving_in AFTER INSERT ON arriving BEGIN
    UPDATE space SET bytes = bytes + new.size;
END;
CREATE TRIGGER arriving_grows AFTER UPDATE OF size ON arriving BEGIN
    UPDATE space SET bytes = bytes - old.size + new.size;
END;
CREATE TRIGGER arriving_out AFTER DELETE ON arriving BEGIN
    UPDATE space SET bytes = bytes - old.size;
END;
CREATE TRIGGER uploads_grow AFTER UPDATE OF size ON uploads BEGIN
    UPDATE space SET bytes = bytes - old.size + new.size;
END;
CREATE TRIGGER uploads_out AFTER DELETE ON uploads BEGIN
    UPDATE space SET bytes = bytes - old.size;
END;
"""

MIGRATIONS: Final = (FIRST,)
