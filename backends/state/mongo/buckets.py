"""Buckets in MongoDB, and how one goes while others write into it.

Removing a bucket and committing to it touch two documents, and no transaction holds them together.
Both look at the other's document after they wrote their own, so that at least one sees the other:

- A commit reads the bucket's id, puts its row (under that id) into the key's document, and then
  looks at the bucket again. Is it `closing`, the commit takes that mark away. Is it gone, the
  commit takes its row back and answers BucketNotFound.
- A removal marks the bucket `closing` with a token of its own, then looks for a row, and removes
  the bucket only if the token is still there.

So a row that a removal did not see was put in after it had looked, thus after the mark; its commit
looks later still, and finds the mark (the removal will fail, and start again), or nothing (the row
goes). A row counts only in the bucket with its id: what a commit leaves that is killed between its
two steps is seen by nobody, in no bucket of that name to come. The id of each removed bucket is
kept in `graves` until purge_tombstones has dropped what was left under it. A removal that is killed
leaves a mark that hinders nobody, or uploads that stale_uploads finds.
"""

from typing import Final

from bson import ObjectId

from backends.errors import BucketNotFound, Busy, NotEmpty
from backends.model import Bucket, Upload
from backends.ranges import successor
from backends.state.mongo.connection import Document
from backends.state.mongo.decisions import abandon_row, abandon_uploads
from backends.state.mongo.documents import parted
from backends.state.mongo.tables import Tables

ATTEMPTS: Final = 10
BATCH: Final = 100


class BucketCollection(Tables):
    """The verbs of the protocol that are about buckets."""

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        document = {
            "_id": bucket.name,
            "id": ObjectId(),
            "owner": bucket.owner,
            "created": bucket.created,
            "region": bucket.region,
            "storage": bucket.storage,
        }
        for _ in range(ATTEMPTS):
            if await self._buckets.insert(document):
                return bucket
            if found := await self._buckets.one({"_id": bucket.name}):
                return _bucket_of(found)
        raise Busy(f"the bucket {bucket.name} comes and goes")

    async def bucket(self, name: str) -> Bucket:
        found = await self._buckets.one({"_id": name})
        if found is None:
            raise BucketNotFound(f"there is no bucket {name}")
        return _bucket_of(found)

    async def buckets(self, owner: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
        names = {"$gte": prefix} if prefix > after else {"$gt": after}
        if (end := successor(prefix)) is not None:
            names["$lt"] = end
        found = await self._buckets.many({"owner": owner, "_id": names}, limit=limit)
        return list(map(_bucket_of, found))

    async def every_bucket(self, *, after: str, limit: int) -> list[Bucket]:
        found = await self._buckets.many({"_id": {"$gt": after}}, limit=limit)
        return list(map(_bucket_of, found))

    async def delete_bucket(self, name: str) -> list[Upload]:
        for _ in range(ATTEMPTS):
            bucket_id = await self._require_bucket(name)
            await self._require_empty(name, bucket_id)
            token = ObjectId()
            await self._buckets.update({"_id": name, "id": bucket_id}, {"$set": {"closing": token}})
            await self._require_empty(name, bucket_id)
            await self._graves.insert({"_id": bucket_id, "name": name, "since": self._now()})
            if await self._buckets.delete({"_id": name, "id": bucket_id, "closing": token}):
                return await self._end_uploads(bucket_id)
        raise Busy(f"the bucket {name} is being written to")

    async def _require_empty(self, name: str, bucket_id: ObjectId) -> None:
        if await self._keys.collection.one({"live.bucket": bucket_id}, ["_id"]):
            raise NotEmpty(f"the bucket {name} still holds objects")

    async def _end_uploads(self, bucket_id: ObjectId) -> list[Upload]:
        """End those of a bucket that went."""
        ended: list[Upload] = []
        while places := await self._left("uploads.bucket", bucket_id):
            for bucket, key in places:
                uploads = await self._keys.change(
                    bucket, key, lambda found: abandon_uploads(found, bucket_id)
                )
                await self._drop_parts(bucket, key, tuple(upload.name for upload in uploads))
                ended += uploads
        return ended

    async def _drop_rows(self, bucket_id: ObjectId) -> None:
        """Drop what killed commits have left in a bucket that went."""
        while places := await self._left("live.bucket", bucket_id):
            for bucket, key in places:
                await self._keys.change(
                    bucket, key, lambda found: abandon_row(found, bucket_id, now=self._now())
                )

    async def _left(self, field: str, bucket_id: ObjectId) -> list[tuple[str, str]]:
        """Buckets and keys of documents that have the bucket's id there."""
        found = await self._keys.collection.many(
            {field: bucket_id}, order=((field, 1), ("_id", 1)), limit=BATCH, fields=["_id"]
        )
        return [parted(document["_id"]) for document in found]


def _bucket_of(document: Document) -> Bucket:
    names = ("owner", "created", "region", "storage")
    return Bucket(document["_id"], *(document[name] for name in names))
