"""The StateStore on MongoDB, put together from its collections."""

from collections.abc import Callable
from typing import Final

from msgspec import json

from backends.clock import milliseconds
from backends.errors import NotFound
from backends.model import AccessKey
from backends.state.mongo.connection import Collection, Connection
from backends.state.mongo.documents import text_of
from backends.state.mongo.expiries import ExpiryCollection
from backends.state.mongo.leftovers import LeftoverCollection
from backends.state.mongo.objects import ObjectCollection
from backends.state.mongo.options import MongoOptions
from backends.state.mongo.ranges import RangeCollection
from backends.state.mongo.schema import bring_up, require_current
from backends.state.mongo.uploads import UploadCollection

KEY: Final = json.Decoder(AccessKey)


class MongoState(
    ObjectCollection, RangeCollection, UploadCollection, ExpiryCollection, LeftoverCollection
):
    """A StateStore in one database of a MongoDB deployment, shared by any number of processes."""

    @classmethod
    async def open(
        cls,
        options: MongoOptions,
        *,
        site: str,
        now: Callable[[], int] = milliseconds,
        migrate: bool = True,
    ) -> "MongoState":
        """Connect, and migrate; without `migrate` an older schema is NotSupported.

        `site` is the origin of versions made here. Unavailable where no primary answers,
        AccessDenied where it refuses the user, NotSupported for a newer schema.
        """
        connection = Connection(options)
        try:
            await (bring_up(connection) if migrate else require_current(connection))
        except BaseException:
            await connection.close()
            raise
        return cls(connection, site, now)

    async def ping(self) -> None:
        await self._connection.ping()

    async def put_key(self, key: AccessKey) -> None:
        document = {"_id": key.access_key, "key": text_of(key)}
        await self._access_keys.swap({"_id": key.access_key}, document)

    async def key(self, access_key: str) -> AccessKey:
        found = await self._access_keys.one({"_id": access_key})
        if found is None:
            raise NotFound(f"there is no access key {access_key}")
        return KEY.decode(found["key"])

    async def keys(self) -> list[AccessKey]:
        return [KEY.decode(found["key"]) for found in await self._access_keys.many({})]

    async def drop_key(self, access_key: str) -> None:
        if not await self._access_keys.delete({"_id": access_key}):
            raise NotFound(f"there is no access key {access_key}")

    async def close(self) -> None:
        await self._connection.close()

    @property
    def _access_keys(self) -> Collection:
        return self._connection.collection("access_keys")
