"""Objects in MongoDB that were given an end, found by when they come to it."""

from typing import Final

from backends.model import Row
from backends.state.mongo.buckets import BucketCollection
from backends.state.mongo.connection import Document, Filter
from backends.state.mongo.documents import id_of, parted, row_of
from backends.state.protocol import Due

ROW: Final = ("live.locator", "live.facts")


class ExpiryCollection(BucketCollection):
    """The verbs of the protocol that expiry uses."""

    async def expired(self, *, after: Due, limit: int) -> list[Row]:
        together = {
            "live.expires": after.expires,
            "_id": {"$gt": id_of(after.bucket, after.key)},
        }
        later = {"live.expires": {"$gt": after.expires, "$lte": self._now()}}
        found = await self._due(together, limit)
        if len(found) < limit:
            found += await self._due(later, limit - len(found))
        return [row_of(*parted(one["_id"]), one["live"]) for one in found]

    async def forget_expired(self) -> None:
        """The index holds what is there, and nothing else."""

    async def _due(self, of: Filter, limit: int) -> list[Document]:
        return await self._keys.collection.many(
            of, order=(("live.expires", 1), ("_id", 1)), limit=limit, fields=ROW
        )
