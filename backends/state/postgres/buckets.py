"""Buckets in PostgreSQL."""

from typing import Final

from asyncpg import Record

from backends.errors import NotEmpty
from backends.model import Bucket, Upload
from backends.state.postgres.records import UPLOAD, names_above
from backends.state.postgres.tables import Tables, no_bucket

BUCKET: Final = "SELECT name, owner, created, region, storage FROM buckets"
# Nothing at all where another maker has just been quicker: then it is there to be read.
CREATE: Final = f"""
    WITH made AS (
        INSERT INTO buckets VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING *
    ) SELECT * FROM made UNION ALL ({BUCKET} WHERE name = $1)"""


class BucketTable(Tables):
    """The verbs of the protocol that are about buckets."""

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        values = (bucket.owner, bucket.created, bucket.region, bucket.storage)
        while True:
            found = await self._connections.write(CREATE, bucket.name.encode(), *values)
            if found:
                return _bucket_of(found[0])

    async def bucket(self, name: str) -> Bucket:
        found = await self._connections.read(f"{BUCKET} WHERE name = $1", name.encode())
        if not found:
            raise no_bucket(name)
        return _bucket_of(found[0])

    async def buckets(self, owner: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
        found = await self._connections.read(
            f"{BUCKET} WHERE owner = $1 AND name > $2 AND name >= $3 AND name < $4"
            " ORDER BY name LIMIT $5",
            owner,
            *names_above(prefix, after),
            limit,
        )
        return [_bucket_of(record) for record in found]

    async def every_bucket(self, *, after: str, limit: int) -> list[Bucket]:
        found = await self._connections.read(
            f"{BUCKET} WHERE name > $1 ORDER BY name LIMIT $2", after.encode(), limit
        )
        return [_bucket_of(record) for record in found]

    async def delete_bucket(self, name: str) -> list[Upload]:
        gone = name.encode()
        found = await self._connections.write(
            "SELECT * FROM delete_bucket($1, $2)", self._locks.bucket(gone), gone
        )
        outcomes = {outcome for outcome, _ in found}
        if "no bucket" in outcomes:
            raise no_bucket(name)
        if "not empty" in outcomes:
            raise NotEmpty(f"the bucket {name} still holds objects")
        return [UPLOAD.decode(upload) for _, upload in found]


def _bucket_of(record: Record) -> Bucket:
    name, *rest = record
    return Bucket(name.decode(), *rest)
