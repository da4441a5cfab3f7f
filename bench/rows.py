"""Rows by the million, put into states at once: past the store, in its own records."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

import asyncpg
from msgspec import json

from backends.fingerprint import fingerprint_of
from backends.model import COUNTER_BITS, Facts, Row, Version
from backends.state.postgres import PostgresOptions, PostgresState
from backends.state.protocol import StateStore
from backends.state.sqlite import SQLiteState
from backends.state.sqlite.records import STORE, record_of

NOON: Final = 1_700_000_000_000
PATIENCE: Final = 600.0
HEADERS: Final = {"content-type": "image/jpeg"}


class Filled(Protocol):
    """Where a site's state is kept."""

    async def open(self, site: str) -> StateStore: ...

    async def fill(self, bucket: str, count: int) -> None:
        """Put the rows of so many keys into the bucket."""


@dataclass(frozen=True)
class SqliteFile:
    """As Filled."""

    path: Path

    async def open(self, site: str) -> StateStore:
        return SQLiteState.open(self.path, site=site, durable=False)

    async def fill(self, bucket: str, count: int) -> None:
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection, connection:
            connection.executemany(STORE, map(record_of, rows(bucket, count)))


@dataclass(frozen=True)
class PostgresSchema:
    """As Filled."""

    options: PostgresOptions

    async def open(self, site: str) -> StateStore:
        return await PostgresState.open(self.options, site=site)

    async def fill(self, bucket: str, count: int) -> None:
        connection = await asyncpg.connect(self.options.url)
        try:
            await connection.copy_records_to_table(
                "objects",
                schema_name=self.options.schema,
                records=map(_record, rows(bucket, count)),
                timeout=PATIENCE,
            )
            await connection.execute(
                f'VACUUM ANALYZE "{self.options.schema}".objects', timeout=PATIENCE
            )
        finally:
            await connection.close()


def rows(bucket: str, count: int) -> Iterator[Row]:
    return (row_of(bucket, number) for number in range(count))


def row_of(bucket: str, number: int, *, later: int = 0, deleted: bool = False) -> Row:
    """The row of that number, or a `later` version of it."""
    version = Version((NOON + number + later) << COUNTER_BITS, "east")
    key = f"folder {number // 1000:06}/object {number:09}.jpg"
    if deleted:
        return Row(bucket, key, Facts(version), deleted=True)
    etag = blake2b(str((number, later)).encode(), digest_size=16).hexdigest()
    return Row(bucket, key, Facts(version, 4096, etag, "bench", HEADERS), "1")


def _record(row: Row) -> tuple[object, ...]:
    facts, version = row.facts, row.version
    return (
        row.bucket.encode(),
        row.key.encode(),
        version.stamp,
        version.site,
        facts.size,
        facts.etag,
        facts.owner,
        facts.storage_class,
        "",
        "",
        row.locator,
        json.encode(facts),
        fingerprint_of(row),
    )
