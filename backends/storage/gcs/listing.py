"""The objects of a bucket, a page after the other; the service sorts as S3 does."""

from collections.abc import AsyncGenerator
from typing import Final

from backends.errors import BucketNotFound, NotFound
from backends.storage.gcs.attributes import Resource, stored_of
from backends.storage.gcs.connection import Connection, bucket_path
from backends.storage.gcs.names import name_of, prefixes_of
from backends.storage.protocol import Stored

PAGE: Final = 1000


async def listed(
    connection: Connection, bucket: str, prefix: str, after: str = "", most: int | None = None
) -> AsyncGenerator[Stored, None]:
    """Objects above `after`, hidden ones too; pages are of about `most`. BucketNotFound."""
    limit = PAGE if most is None else min(most + 2, PAGE)
    behind = name_of(after)
    for begin in prefixes_of(prefix):
        query = {"maxResults": str(limit), "prefix": begin}
        if after:
            query["startOffset"] = behind
        async for resource in _resources(connection, bucket, query):
            if resource["name"] > behind:
                stored = stored_of(resource)
                if stored.key.startswith(prefix):
                    yield stored


async def _resources(
    connection: Connection, bucket: str, query: dict[str, str]
) -> AsyncGenerator[Resource, None]:
    while True:
        try:
            page = await connection.ask("GET", f"{bucket_path(bucket)}/o", query=query)
        except NotFound as error:
            raise BucketNotFound(f"the storage has no bucket {bucket}") from error
        for resource in page.get("items") or []:
            yield resource
        token = page.get("nextPageToken")
        if not token:
            return
        query = {**query, "pageToken": token}
