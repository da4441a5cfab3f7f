"""Multipart uploads in MongoDB: in the key's document, so that a commit ends one; parts beside."""

import asyncio
from typing import Final

from msgspec import json

from backends.errors import BucketNotFound, UploadNotFound
from backends.model import Part, Upload
from backends.ranges import successor
from backends.state.mongo import decisions
from backends.state.mongo.connection import Document
from backends.state.mongo.documents import id_of, key_of, parted, text_of
from backends.state.mongo.tables import Tables

PART: Final = json.Decoder(Part)


class UploadCollection(Tables):
    """The verbs of the protocol that are about uploads."""

    async def create_upload(self, upload: Upload) -> None:
        bucket, key = upload.bucket, upload.key
        bucket_id = await self._require_bucket(bucket)
        await self._keys.change(
            bucket, key, lambda found: decisions.create_upload(found, bucket_id, upload)
        )
        try:
            await self._hold_bucket(bucket, bucket_id)
        except BucketNotFound:
            await self._keys.change(
                bucket, key, lambda found: decisions.forget_upload(found, upload.name)
            )
            raise

    async def upload(self, bucket: str, key: str, name: str) -> Upload:
        found, bucket_id = await asyncio.gather(
            self._keys.read(bucket, key, "uploads"), self._bucket_id(bucket)
        )
        return decisions.find_upload(found, bucket_id, name)

    async def uploads(
        self, bucket: str, *, prefix: str, after: tuple[str, str], limit: int
    ) -> list[Upload]:
        bucket_id = await self._require_bucket(bucket)
        start = max(after, (prefix, ""))
        keys = {"$gte": id_of(bucket, start[0])}
        if (end := successor(id_of(bucket, prefix))) is not None:
            keys["$lt"] = end
        found = await self._keys.collection.many(
            {"uploads.bucket": bucket_id, "_id": keys},
            order=(("uploads.bucket", 1), ("_id", 1)),
            limit=limit + 1,  # the first may have none that are above
            fields=["uploads"],
        )
        begun = [one for document in found for one in key_of(document).uploads]
        named = sorted(
            ((one.upload.key, one.upload.name), one.upload)
            for one in begun
            if one.bucket_id == bucket_id
        )
        return [upload for place, upload in named if place > start][:limit]

    async def put_part(self, bucket: str, key: str, name: str, part: Part) -> Part | None:
        await self.upload(bucket, key, name)
        of_part = {"object": id_of(bucket, key), "upload": name, "number": part.number}
        old = await self._parts.swap(of_part, {**of_part, "part": text_of(part)})
        try:
            await self.upload(bucket, key, name)
        except UploadNotFound:
            await self._parts.delete(of_part)
            raise
        return _part_of(old) if old else None

    async def parts(
        self, bucket: str, key: str, name: str, *, after: int = 0, limit: int = 10_000
    ) -> list[Part]:
        await self.upload(bucket, key, name)
        found = await self._parts.many(
            {"object": id_of(bucket, key), "upload": name, "number": {"$gt": after}},
            order=(("object", 1), ("upload", 1), ("number", 1)),
            limit=limit,
        )
        return list(map(_part_of, found))

    async def delete_upload(self, bucket: str, key: str, name: str) -> None:
        await self._keys.change(bucket, key, lambda found: decisions.delete_upload(found, name))
        await self._drop_parts(bucket, key, (name,))

    async def stale_uploads(self, *, older_than: int, limit: int, prefix: str = "") -> list[Upload]:
        await self._drop_ended(limit)
        before = self._now() - older_than
        named = {"uploads.name": {"$gte": prefix, "$lt": successor(prefix)}} if prefix else {}
        found = await self._keys.collection.many(
            {"uploads.started": {"$lt": before}, **named},
            order=(("uploads.started", 1),),
            limit=limit,
            fields=["uploads"],
        )
        begun = (one.upload for document in found for one in key_of(document).uploads)
        stale = [one for one in begun if one.started < before and one.name.startswith(prefix)]
        return sorted(stale, key=lambda upload: upload.started)[:limit]

    async def _drop_ended(self, limit: int) -> None:
        """Drop parts of uploads that a crash ended halfway."""
        found = await self._keys.collection.many(
            {"ended": {"$exists": True}}, order=(("ended", 1),), limit=limit, fields=["ended"]
        )
        for document in found:
            await self._drop_parts(*parted(document["_id"]), tuple(document["ended"]))


def _part_of(document: Document) -> Part:
    return PART.decode(document["part"])
