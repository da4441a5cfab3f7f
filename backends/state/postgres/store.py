"""The StateStore on PostgreSQL, put together from its tables."""

from collections.abc import Callable
from typing import Final

from msgspec import json

from backends.clock import milliseconds
from backends.errors import NotFound
from backends.model import AccessKey
from backends.state.postgres.buckets import BucketTable
from backends.state.postgres.commits import CommitTable
from backends.state.postgres.connections import Connections
from backends.state.postgres.leftovers import LeftoverTable
from backends.state.postgres.locks import Locks
from backends.state.postgres.options import PostgresOptions
from backends.state.postgres.outbox import OutboxTable
from backends.state.postgres.promises import PromiseTable
from backends.state.postgres.ranges import RangeTable
from backends.state.postgres.reading import ReadTable
from backends.state.postgres.records import ENCODER
from backends.state.postgres.schema import prepare
from backends.state.postgres.uploads import UploadTable

KEY: Final = json.Decoder(AccessKey)
DROP_KEY: Final = "DELETE FROM access_keys WHERE access_key = $1 RETURNING access_key"
PUT_KEY: Final = (
    "INSERT INTO access_keys VALUES ($1, $2)"
    " ON CONFLICT (access_key) DO UPDATE SET data = excluded.data"
)


class PostgresState(
    BucketTable,
    ReadTable,
    RangeTable,
    PromiseTable,
    CommitTable,
    UploadTable,
    LeftoverTable,
    OutboxTable,
):
    """A StateStore in one schema of a database, shared by all processes of a site."""

    @classmethod
    async def open(
        cls, options: PostgresOptions, *, site: str, now: Callable[[], int] = milliseconds
    ) -> "PostgresState":
        """Connect, and migrate the schema if need be. `site` is the origin of versions made here.

        Unavailable, AccessDenied; NotSupported for a newer schema, or an older one that is not to
        be migrated.
        """
        connections = Connections(options)
        try:
            await prepare(connections, options, migrate=options.migrate)
        except BaseException:
            await connections.close()
            raise
        return cls(connections, Locks(options.schema), site, now)

    async def ping(self) -> None:
        await self._connections.read("SELECT 1")

    async def put_key(self, key: AccessKey) -> None:
        await self._connections.write(PUT_KEY, key.access_key.encode(), ENCODER.encode(key))

    async def key(self, access_key: str) -> AccessKey:
        found = await self._connections.read(
            "SELECT data FROM access_keys WHERE access_key = $1", access_key.encode()
        )
        if not found:
            raise NotFound(f"there is no access key {access_key}")
        return KEY.decode(found[0][0])

    async def keys(self) -> list[AccessKey]:
        found = await self._connections.read("SELECT data FROM access_keys ORDER BY access_key")
        return [KEY.decode(data) for (data,) in found]

    async def drop_key(self, access_key: str) -> None:
        if not await self._connections.write(DROP_KEY, access_key.encode()):
            raise NotFound(f"there is no access key {access_key}")

    async def close(self) -> None:
        for lane in self._lanes:
            await lane.finish()
        await self._connections.close()
