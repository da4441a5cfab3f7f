"""The journal of what waits: one row a key, shared by the processes of one folder."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec import json

from backends.clock import milliseconds
from backends.database import Database, neutral_errors
from backends.errors import NotFound
from backends.model import Bucket, Facts
from backends.ranges import key_range
from backends.storage.layers.buffered.arrivals import Arrivals, end_upload
from backends.storage.layers.buffered.schema import MIGRATIONS

FACTS: Final = json.Decoder(Facts)
BUCKET: Final = json.Decoder(Bucket)
ENCODER: Final = json.Encoder()
NEVER: Final = 2**62
COLUMNS: Final = (
    "bucket, key, token, deletes, locator, size, facts, since, attempts, next_try, error"
)
OF_KEY: Final = "bucket = ? AND key = ?"
NAME: Final = "journal.db"


class Changed(Exception):
    """The key's row is another one by now."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The last write of a key, on its way to the storage. Times are in milliseconds.

    `token` names just this write. A delete has no facts. What is `next_try` NEVER is held back.
    """

    bucket: str
    key: str
    token: str
    deletes: bool
    locator: str
    size: int
    facts: Facts | None
    since: int
    attempts: int = 0
    next_try: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry as operators see it."""

    bucket: str
    key: str
    kind: str
    size: int
    age_seconds: float
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Totals:
    """All that waits: entries, their bytes, those that failed before, the oldest one's age.

    `used_bytes` counts bodies and parts on their way in too.
    """

    entries: int
    bytes: int
    failing: int
    oldest_seconds: float
    used_bytes: int


class Journal:
    """Rows in a SQLite file below the buffer's folder. Reads are a few microseconds."""

    def __init__(
        self, folder: Path, *, durable: bool = True, now: Callable[[], int] = milliseconds
    ) -> None:
        self._database = Database(folder / NAME, MIGRATIONS, durable=durable)
        self.arrivals = Arrivals(self._database, now)
        self.now = now

    def find(self, bucket: str, key: str) -> Entry | None:
        """What waits for the key, if anything does."""
        found = self._database.read(f"SELECT {COLUMNS} FROM pending WHERE {OF_KEY}", (bucket, key))
        return entry_of(found[0]) if found else None

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> list[Entry]:
        """What waits for keys above `after`, in their order."""
        condition, parameters = key_range(prefix, after)
        return [
            entry_of(record)
            for record in self._database.read(
                f"SELECT {COLUMNS} FROM pending WHERE bucket = ? AND {condition}"
                " ORDER BY key LIMIT ?",
                (bucket, *parameters, limit),
            )
        ]

    def of_bucket(self, bucket: str) -> list[Entry]:
        """Up to a thousand of the entries of a bucket."""
        return self.page(bucket, "", "", 1000)

    def due(self, limit: int) -> list[Entry]:
        """What may be tried now, the oldest first."""
        return [
            entry_of(record)
            for record in self._database.read(
                f"SELECT {COLUMNS} FROM pending WHERE next_try <= ? ORDER BY since LIMIT ?",
                (self.now(), limit),
            )
        ]

    async def store(self, entry: Entry, *, seen: str | None = None) -> str:
        """Make it the key's entry; the token of the put it replaces, or "".

        With `seen` only while the key's entry is that token, or there is none where it is "":
        Changed.
        """

        def work(connection: sqlite3.Connection) -> str:
            place = (entry.bucket, entry.key)
            found = connection.execute(
                f"SELECT token, deletes FROM pending WHERE {OF_KEY}", place
            ).fetchone()
            if seen not in {None, found[0] if found else ""}:
                raise Changed
            connection.execute("DELETE FROM arriving WHERE token = ?", (entry.token,))
            end_upload(connection, entry.token, self.now())
            connection.execute(f"DELETE FROM pending WHERE {OF_KEY}", place)
            _insert(connection, entry)
            return found[0] if found and not found[1] else ""

        return await self._database.write(work)

    async def remove(self, entry: Entry) -> bool:
        """Forget the entry, unless another took its place; whether it was there."""

        def work(connection: sqlite3.Connection) -> bool:
            gone = connection.execute("DELETE FROM pending WHERE token = ?", (entry.token,))
            return gone.rowcount > 0

        return await self._database.write(work)

    async def failed(self, entry: Entry, error: str, next_try: int) -> None:
        """Note that the storage did not take the entry."""
        values = (error, next_try, entry.token)
        sql = "UPDATE pending SET attempts = attempts + 1, error = ?, next_try = ? WHERE token = ?"
        await self._database.write(
            lambda connection: connection.execute(sql, values), durable=False
        )

    def names(self, token: str) -> bool:
        """Whether anything needs the bytes of that token."""
        return bool(
            self._database.read(
                "SELECT 1 FROM pending WHERE token = ? UNION ALL"
                " SELECT 1 FROM arriving WHERE token = ? UNION ALL"
                " SELECT 1 FROM uploads WHERE token = ? AND ended IS NULL",
                (token, token, token),
            )
        )

    def bucket(self, name: str) -> Bucket:
        """The bucket as the storage told of it last. NotFound."""
        found = self._database.read("SELECT record FROM buckets WHERE name = ?", (name,))
        if not found:
            raise NotFound(f"the buffer does not know a bucket {name}")
        return BUCKET.decode(found[0][0])

    async def remember(self, bucket: Bucket) -> None:
        """Know the bucket when the storage does not answer."""
        await self._execute(
            "INSERT INTO buckets VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET record = excluded.record",
            bucket.name,
            ENCODER.encode(bucket),
        )

    async def forget(self, bucket: str) -> None:
        """The bucket is gone."""
        await self._execute("DELETE FROM buckets WHERE name = ?", bucket)

    def waiting(self, limit: int) -> list[Waiting]:
        """What waits, the oldest first."""
        now = self.now()
        return [
            Waiting(bucket, key, "delete" if deletes else "put", size, age, attempts, error)
            for bucket, key, deletes, size, age, attempts, error in self._database.read(
                "SELECT bucket, key, deletes, size, max(0, ? - since) / 1000.0, attempts, error"
                " FROM pending WHERE next_try < ? ORDER BY since LIMIT ?",
                (now, NEVER, limit),
            )
        ]

    def totals(self) -> Totals:
        """What waits, summed up."""
        [(used, entries, size)] = self._database.read("SELECT bytes, entries, waiting FROM space")
        [(failing,)] = self._database.read("SELECT count(*) FROM pending WHERE attempts > 0")
        oldest = self._database.read(
            "SELECT since FROM pending WHERE next_try < ? ORDER BY since LIMIT 1", (NEVER,)
        )
        age = max(0, self.now() - oldest[0][0]) / 1000 if oldest else 0.0
        return Totals(entries, size, failing, age, used)

    def ping(self) -> None:
        """Return if the journal can be read."""
        self._database.read("SELECT 1 FROM space")

    async def close(self) -> None:
        await self._database.close()

    async def _execute(self, sql: str, *values: Any) -> None:
        await self._database.write(lambda connection: connection.execute(sql, values))


def entries_in(folder: Path) -> int:
    """How many writes wait in a buffer that may not be there. Nothing is made or changed."""
    path = (folder / NAME).absolute()
    if not path.exists():
        return 0
    with neutral_errors(path), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        (entries,) = db.execute("SELECT count(*) FROM pending").fetchone()
    return int(entries)


def entry_of(record: Sequence[Any]) -> Entry:
    """An entry, of its columns in their order."""
    bucket, key, token, deletes, locator, size, facts, *rest = record
    decoded = FACTS.decode(facts) if facts is not None else None
    return Entry(bucket, key, token, bool(deletes), locator, size, decoded, *rest)


def _insert(connection: sqlite3.Connection, entry: Entry) -> None:
    facts = ENCODER.encode(entry.facts) if entry.facts else None
    connection.execute(
        f"INSERT INTO pending ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.bucket,
            entry.key,
            entry.token,
            entry.deletes,
            entry.locator,
            entry.size,
            facts,
            entry.since,
            entry.attempts,
            entry.next_try,
            entry.error,
        ),
    )
