"""Buckets in SQLite."""

import sqlite3

from msgspec import json

from backends.errors import BucketNotFound, NotEmpty
from backends.model import Bucket, Upload
from backends.ranges import key_range
from backends.state.sqlite.records import require_bucket
from backends.state.sqlite.tables import Tables

BUCKET = "SELECT name, owner, created, region, storage FROM buckets"
UPLOAD = json.Decoder(Upload)


class BucketTable(Tables):
    """The verbs of the protocol that are about buckets."""

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        def insert(connection: sqlite3.Connection) -> Bucket:
            connection.execute(
                "INSERT INTO buckets VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (bucket.name, bucket.owner, bucket.created, bucket.region, bucket.storage),
            )
            found = connection.execute(f"{BUCKET} WHERE name = ?", (bucket.name,)).fetchone()
            return Bucket(*found)

        return await self._database.write(insert)

    async def bucket(self, name: str) -> Bucket:
        found = self._database.read(f"{BUCKET} WHERE name = ?", (name,))
        if not found:
            raise BucketNotFound(f"there is no bucket {name}")
        return Bucket(*found[0])

    async def buckets(self, owner: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
        condition, parameters = key_range(prefix, after, "name")
        found = self._database.read(
            f"{BUCKET} WHERE owner = ? AND {condition} ORDER BY name LIMIT ?",
            (owner, *parameters, limit),
        )
        return [Bucket(*record) for record in found]

    async def every_bucket(self, *, after: str, limit: int) -> list[Bucket]:
        found = self._database.read(
            f"{BUCKET} WHERE name > ? ORDER BY name LIMIT ?", (after, limit)
        )
        return [Bucket(*record) for record in found]

    async def delete_bucket(self, name: str) -> list[Upload]:
        def delete(connection: sqlite3.Connection) -> list[Upload]:
            require_bucket(connection, name)
            if connection.execute("SELECT 1 FROM objects WHERE bucket = ?", (name,)).fetchone():
                raise NotEmpty(f"the bucket {name} still holds objects")
            uploads = connection.execute("SELECT upload FROM uploads WHERE bucket = ?", (name,))
            ended = [UPLOAD.decode(data) for (data,) in uploads]
            for upload in ended:
                connection.execute("DELETE FROM parts WHERE upload = ?", (upload.name,))
            connection.execute("DELETE FROM uploads WHERE bucket = ?", (name,))
            connection.execute("DELETE FROM buckets WHERE name = ?", (name,))
            return ended

        return await self._database.write(delete)
