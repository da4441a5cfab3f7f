"""What every group of verbs stands on: the connection, a clock, the name of the site."""

from collections.abc import Callable

from bson import ObjectId

from backends.clock import Clock
from backends.errors import BucketNotFound
from backends.model import Version
from backends.state.mongo.connection import Connection
from backends.state.mongo.decisions import forget_ended, require_bucket
from backends.state.mongo.keys import Keys


class Tables:
    """`now` answers milliseconds since the Unix epoch."""

    def __init__(self, connection: Connection, site: str, now: Callable[[], int]) -> None:
        self._connection = connection
        self._site = site
        self._now = now
        self._clock = Clock(now)
        self._keys = Keys(connection.collection("keys"))
        self._buckets = connection.collection("buckets")
        self._graves = connection.collection("graves")
        self._parts = connection.collection("parts")
        self._subscriptions = connection.collection("subscriptions")

    def _above(self, stamp: int) -> Version:
        return Version(self._clock.stamp(after=stamp), self._site)

    async def _bucket_id(self, name: str) -> ObjectId | None:
        """The id of the bucket that has the name now."""
        found = await self._buckets.one({"_id": name}, ["id"])
        return found["id"] if found else None

    async def _require_bucket(self, name: str) -> ObjectId:
        """As `_bucket_id`. BucketNotFound."""
        return require_bucket(await self._bucket_id(name), name)

    async def _subscribed(self) -> bool:
        """Whether any group wants events."""
        return await self._subscriptions.one({}, ["_id"]) is not None

    async def _hold_bucket(self, name: str, bucket_id: ObjectId) -> None:
        """Return if that bucket is still there, and its removal, if one is under way, fails.

        To be called once something was put into it. See `buckets.py`. BucketNotFound.
        """
        found = await self._buckets.one({"_id": name, "id": bucket_id}, ["closing"])
        if found and "closing" in found:
            same = {"_id": name, "id": bucket_id}
            if not await self._buckets.update(same, {"$unset": {"closing": ""}}):
                found = None
        if found is None:
            raise BucketNotFound(f"there is no bucket {name}")

    async def _drop_parts(self, bucket: str, key: str, names: tuple[str, ...]) -> None:
        """Remove the parts of uploads that ended, and that they did."""
        from_uploads = {"object": f"{bucket}/{key}", "upload": {"$in": list(names)}}
        await self._parts.delete_all(from_uploads)
        await self._keys.change(bucket, key, lambda found: forget_ended(found, names))
