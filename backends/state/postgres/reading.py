"""Objects in PostgreSQL as they are read: rows, pages, inventories."""

from collections.abc import Callable, Sequence
from typing import Final

from asyncpg import Record

from backends.errors import NotFound
from backends.model import Entry, Row
from backends.state.postgres.connections import Connections
from backends.state.postgres.locks import Locks
from backends.state.postgres.records import (
    BEHIND_ALL,
    columns,
    names_above,
    row_of,
    tombstone_of,
)
from backends.state.postgres.tables import Tables, no_bucket

FIND: Final = """
    SELECT asked.number, b.name, o.locator, o.facts
    FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS asked (bucket, key, number)
    LEFT JOIN buckets b ON b.name = asked.bucket
    LEFT JOIN LATERAL (
        SELECT locator, facts FROM objects WHERE bucket = asked.bucket AND key = asked.key
        ORDER BY stamp DESC, site DESC LIMIT 1
    ) o ON true"""

NEWEST: Final = """
    SELECT asked.number, b.name, o.locator, o.facts, t.stamp, t.site
    FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS asked (bucket, key, number)
    LEFT JOIN buckets b ON b.name = asked.bucket
    LEFT JOIN LATERAL (
        SELECT locator, facts FROM objects WHERE bucket = asked.bucket AND key = asked.key
        ORDER BY stamp DESC, site DESC LIMIT 1
    ) o ON true
    LEFT JOIN LATERAL (
        SELECT stamp, site FROM tombstones WHERE bucket = asked.bucket AND key = asked.key LIMIT 1
    ) t ON true"""

PAGE: Final = """
    SELECT key, stamp, size, etag, owner, storage_class, algorithm, checksum_kind FROM objects
    WHERE bucket = $1 AND key > $2 AND key >= $3 AND key < $4 ORDER BY key LIMIT $5"""

# Two runs, each in order. The server would sort both tables to make them one.
INVENTORY: Final = """
    (SELECT key, locator, facts, stamp, site FROM objects
        WHERE bucket = $1 AND key > $2 AND key <= $3 ORDER BY key LIMIT $4)
    UNION ALL
    (SELECT key, NULL, NULL, stamp, site FROM tombstones
        WHERE bucket = $1 AND key > $2 AND key <= $3 ORDER BY key LIMIT $4)"""


class ReadTable(Tables):
    """The verbs of the protocol that read objects."""

    def __init__(
        self, connections: Connections, locks: Locks, site: str, now: Callable[[], int]
    ) -> None:
        super().__init__(connections, locks, site, now)
        self._finding = self._lane(self._find)
        self._finding_newest = self._lane(self._find_newest)

    async def find(self, bucket: str, key: str) -> Row:
        _, there, locator, facts = await self._finding.ask((bucket.encode(), key.encode()))
        if facts is not None:
            return row_of(bucket, key, locator, facts)
        if there is None:
            raise no_bucket(bucket)
        raise NotFound(f"{bucket}/{key}: there is no object")

    async def newest(self, bucket: str, key: str) -> Row | None:
        place = (bucket.encode(), key.encode())
        _, there, locator, facts, stamp, site = await self._finding_newest.ask(place)
        if there is None:
            raise no_bucket(bucket)
        if facts is not None:
            return row_of(bucket, key, locator, facts)
        return None if stamp is None else tombstone_of(bucket, key, stamp, site)

    async def page(self, bucket: str, *, prefix: str, after: str, limit: int) -> list[Entry]:
        found = await self._connections.read(
            PAGE, bucket.encode(), *names_above(prefix, after), limit
        )
        if not found:
            await self._require_bucket(bucket)
        return [Entry(key.decode(), *rest) for key, *rest in found]

    async def inventory(self, bucket: str, *, after: str, limit: int, upto: str = "") -> list[Row]:
        found = await self._connections.read(
            INVENTORY, bucket.encode(), after.encode(), upto.encode() or BEHIND_ALL, limit
        )
        if not found:
            await self._require_bucket(bucket)
        return [_listed(bucket, *record) for record in sorted(found, key=_key)[:limit]]

    async def is_changing(self, bucket: str, key: str) -> bool:
        return bool(
            await self._connections.read(
                "SELECT 1 FROM intents WHERE bucket = $1 AND key = $2 AND alone",
                bucket.encode(),
                key.encode(),
            )
        )

    async def _find(self, places: Sequence[tuple[bytes, bytes]]) -> Sequence[Record]:
        return await self._found(FIND, places)

    async def _find_newest(self, places: Sequence[tuple[bytes, bytes]]) -> Sequence[Record]:
        return await self._found(NEWEST, places)

    async def _found(self, sql: str, places: Sequence[tuple[bytes, bytes]]) -> Sequence[Record]:
        found = await self._connections.read(sql, *columns(places))
        return sorted(found, key=_number) if len(found) > 1 else found


def _listed(
    bucket: str, key: bytes, locator: str | None, facts: bytes | None, stamp: int, site: str
) -> Row:
    if locator is None or facts is None:
        return tombstone_of(bucket, key.decode(), stamp, site)
    return row_of(bucket, key.decode(), locator, facts)


def _key(record: Record) -> bytes:
    key: bytes = record[0]
    return key


def _number(record: Record) -> int:
    return int(record[0])
