"""What the catalog does in one transaction: each function takes the connection of a write."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import json

from backends.errors import BucketNotFound, InvalidPart, NotEmpty, NotFound, PreconditionFailed
from backends.model import Bucket, Facts
from backends.storage.protocol import Stored, StoredPart

FACTS: Final = json.Decoder(Facts)
ENCODER: Final = json.Encoder()
OF_UPLOAD: Final = "WHERE bucket = ? AND upload = ?"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an object: in the segment file of that name, or here where there is none."""

    size: int
    segment: str | None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object goes. `replacing` is the locator it must find there, "" nothing, None any.

    Without `keeps` the new object takes the place of all that is at the key.
    """

    bucket: str
    key: str
    replacing: str | None
    keeps: bool


def stored_of(key: str, record: tuple[Any, ...]) -> Stored:
    """What the storage holds, from (id, size, facts)."""
    return Stored(key, record[1], str(record[0]), FACTS.decode(record[2]))


def require_bucket(connection: sqlite3.Connection, bucket: str) -> None:
    """Return if there is such a bucket."""
    if not connection.execute("SELECT 1 FROM buckets WHERE name = ?", (bucket,)).fetchone():
        raise BucketNotFound(f"the storage has no bucket {bucket}")


def create_bucket(connection: sqlite3.Connection, bucket: Bucket) -> None:
    """Make it, unless it is there."""
    connection.execute(
        "INSERT INTO buckets (name, owner, created, region) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (bucket.name, bucket.owner, bucket.created, bucket.region),
    )


def delete_bucket(connection: sqlite3.Connection, bucket: str) -> list[str]:
    """Remove an empty bucket and the parts of its uploads; the segments to remove."""
    require_bucket(connection, bucket)
    if connection.execute("SELECT 1 FROM objects WHERE bucket = ?", (bucket,)).fetchone():
        raise NotEmpty(f"the storage still has objects in {bucket}")
    uploads = connection.execute("SELECT DISTINCT upload FROM parts WHERE bucket = ?", (bucket,))
    trash = [
        segment
        for (upload,) in uploads.fetchall()
        for segment in drop_parts(connection, bucket, upload)
    ]
    connection.execute("DELETE FROM buckets WHERE name = ?", (bucket,))
    return trash


def add_object(
    connection: sqlite3.Connection, place: Place, facts: Facts, pieces: Sequence[Piece]
) -> tuple[Stored, list[str]]:
    """Insert the object that the pieces make; it, and the segments to remove."""
    require_bucket(connection, place.bucket)
    _require_replaced(connection, place)
    stored = _insert(connection, place.bucket, place.key, facts, pieces)
    if place.keeps:
        return stored, []
    return stored, _delete(connection, "id != ?", (place.bucket, place.key, stored.locator))


def _require_replaced(connection: sqlite3.Connection, place: Place) -> None:
    """Return if the newest object at the key is the one to be replaced."""
    if place.replacing is None:
        return
    found = connection.execute(
        "SELECT id FROM objects WHERE bucket = ? AND key = ? ORDER BY stamp DESC, site DESC",
        (place.bucket, place.key),
    ).fetchone()
    if (str(found[0]) if found else "") != place.replacing:
        raise PreconditionFailed(f"{place.bucket}/{place.key} was changed meanwhile")


def _insert(
    connection: sqlite3.Connection, bucket: str, key: str, facts: Facts, pieces: Sequence[Piece]
) -> Stored:
    """One small piece lies in the object's row."""
    filled = [piece for piece in pieces if piece.size]
    size = sum(piece.size for piece in filled)
    whole = b"" if not filled else None
    if len(filled) == 1 and filled[0].segment is None:
        whole = filled[0].body
    number = connection.execute(
        "INSERT INTO objects (bucket, key, stamp, site, size, facts, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (bucket, key, facts.version.stamp, facts.version.site, size, ENCODER.encode(facts), whole),
    ).lastrowid
    if whole is None:
        start = 0
        for piece in filled:
            connection.execute(
                "INSERT INTO pieces VALUES (?, ?, ?, ?, ?)",
                (number, start, piece.size, piece.segment, piece.body),
            )
            start += piece.size
    return Stored(key, size, str(number), facts)


def copy_object(
    connection: sqlite3.Connection,
    source: tuple[str, str, str],
    place: Place,
    facts: Facts,
) -> tuple[Stored, list[str]]:
    """Insert an object of the same pieces as `source` (bucket, key, locator), as add_object."""
    record = connection.execute(
        "SELECT size, body FROM objects WHERE bucket = ? AND key = ? AND id = ?", source
    ).fetchone()
    if record is None:
        raise NotFound(f"the storage has no bytes {source[2]} at {source[0]}/{source[1]}")
    if record[1] is not None:
        return add_object(connection, place, facts, [Piece(record[0], None, record[1])])
    pieces = connection.execute(
        "SELECT size, segment, body FROM pieces WHERE object = ? ORDER BY start", (source[2],)
    )
    return add_object(connection, place, facts, [Piece(*piece) for piece in pieces])


def delete_object(connection: sqlite3.Connection, bucket: str, key: str, locator: str) -> list[str]:
    """Remove what the locator names, or all at the key; the segments to remove."""
    if locator:
        return _delete(connection, "id = ?", (bucket, key, locator))
    return _delete(connection, "TRUE", (bucket, key))


def _delete(
    connection: sqlite3.Connection, condition: str, parameters: tuple[str, ...]
) -> list[str]:
    numbers = connection.execute(
        f"DELETE FROM objects WHERE bucket = ? AND key = ? AND {condition} RETURNING id",
        parameters,
    ).fetchall()
    segments: list[str] = []
    for number in numbers:
        gone = connection.execute("DELETE FROM pieces WHERE object = ? RETURNING segment", number)
        segments += [segment for (segment,) in gone.fetchall() if segment]
    return to_trash(connection, segments)


def add_part(
    connection: sqlite3.Connection, bucket: str, upload: str, token: str, piece: Piece
) -> None:
    """Insert one part."""
    require_bucket(connection, bucket)
    connection.execute(
        "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)",
        (bucket, upload, token, piece.size, piece.segment, piece.body),
    )


def complete(
    connection: sqlite3.Connection,
    place: Place,
    upload: str,
    parts: Sequence[StoredPart],
    facts: Facts,
) -> tuple[Stored, list[str]]:
    """Make an object of the parts of `upload`; it, and the segments to remove."""
    pieces = [_piece(connection, place.bucket, upload, part) for part in parts]
    stored, trash = add_object(connection, place, facts, pieces)
    return stored, trash + drop_parts(connection, place.bucket, upload)


def drop_parts(connection: sqlite3.Connection, bucket: str, upload: str) -> list[str]:
    """End an upload; the segments to remove."""
    gone = connection.execute(
        f"DELETE FROM parts {OF_UPLOAD} RETURNING segment", (bucket, upload)
    ).fetchall()
    return to_trash(connection, [segment for (segment,) in gone if segment])


def to_trash(connection: sqlite3.Connection, segments: Sequence[str]) -> list[str]:
    """Note the segments that nothing names any more, so that a crash does not lose them."""
    trash = [segment for segment in segments if not is_known(connection, segment)]
    connection.executemany(
        "INSERT INTO trash VALUES (?) ON CONFLICT DO NOTHING", [(segment,) for segment in trash]
    )
    return trash


def is_known(connection: sqlite3.Connection, segment: str) -> bool:
    """Whether an object or a part is made of the segment."""
    found = connection.execute(
        "SELECT 1 FROM pieces WHERE segment = ? UNION ALL SELECT 1 FROM parts WHERE segment = ?",
        (segment, segment),
    )
    return found.fetchone() is not None


def _piece(connection: sqlite3.Connection, bucket: str, upload: str, part: StoredPart) -> Piece:
    found = connection.execute(
        f"SELECT size, segment, body FROM parts {OF_UPLOAD} AND token = ?",
        (bucket, upload, part.token),
    ).fetchone()
    if found is None:
        raise InvalidPart(f"the storage has no part {part.number} of that token")
    return Piece(*found)
