"""The StateStore on SQLite, put together from its tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import json

from backends.clock import milliseconds
from backends.database import Database
from backends.errors import NotFound
from backends.model import AccessKey
from backends.state.sqlite.buckets import BucketTable
from backends.state.sqlite.expiries import ExpiryTable
from backends.state.sqlite.leftovers import LeftoverTable
from backends.state.sqlite.objects import ObjectTable
from backends.state.sqlite.outbox import OutboxTable
from backends.state.sqlite.ranges import RangeTable
from backends.state.sqlite.records import ENCODER
from backends.state.sqlite.schema import MIGRATIONS
from backends.state.sqlite.uploads import UploadTable

KEY: Final = json.Decoder(AccessKey)


class SQLiteState(
    BucketTable, ObjectTable, RangeTable, ExpiryTable, UploadTable, LeftoverTable, OutboxTable
):
    """A StateStore in one file. Reads are inline, writes grouped; see `backends.database`."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        site: str,
        durable: bool = True,
        now: Callable[[], int] = milliseconds,
    ) -> "SQLiteState":
        """Open or make the file. `site` is the origin of versions made here. As Database."""
        return cls(Database(path, MIGRATIONS, durable=durable), site, now)

    async def ping(self) -> None:
        self._database.ping()

    async def put_key(self, key: AccessKey) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute(
                    "INSERT OR REPLACE INTO access_keys VALUES (?, ?)",
                    (key.access_key, ENCODER.encode(key)),
                ).rowcount
            )
        )

    async def key(self, access_key: str) -> AccessKey:
        found = self._database.read(
            "SELECT data FROM access_keys WHERE access_key = ?", (access_key,)
        )
        if not found:
            raise NotFound(f"there is no access key {access_key}")
        return KEY.decode(found[0][0])

    async def keys(self) -> list[AccessKey]:
        found = self._database.read("SELECT data FROM access_keys ORDER BY access_key")
        return [KEY.decode(data) for (data,) in found]

    async def drop_key(self, access_key: str) -> None:
        gone = await self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM access_keys WHERE access_key = ?", (access_key,)
                ).rowcount
            )
        )
        if not gone:
            raise NotFound(f"there is no access key {access_key}")

    async def close(self) -> None:
        await self._database.close()
