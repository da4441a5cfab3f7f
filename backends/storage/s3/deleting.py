"""Deletes of many objects in one request."""

import re
from collections.abc import Sequence
from typing import Final

from backends.bounded import bounded
from backends.errors import NotFound
from backends.storage.s3.client import Client
from backends.storage.s3.errors import error_of, told_of

AT_ONCE: Final = 16
NOT_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
GONE: Final = "NoSuchKey"
STORAGE_FAILED: Final = 500


class Deletions:
    """Names that XML cannot have, whatever is done to them, go one by one."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """As ObjectStore.delete_many. An error tells of the first key that failed."""
        odd = [key for key in keys if NOT_XML.search(key)]
        await bounded(lambda key: self._delete_one(bucket, key), odd, at_once=AT_ONCE)
        if named := [{"Key": key} for key in keys if not NOT_XML.search(key)]:
            await self._delete_named(bucket, named)

    async def _delete_one(self, bucket: str, key: str) -> None:
        connection = await self._client.connection()
        try:
            async with await connection.send("DELETE", bucket, key):
                return
        except NotFound:
            return

    async def _delete_named(self, bucket: str, named: list[dict[str, str]]) -> None:
        wanted = {"Objects": named, "Quiet": True}
        answer = await self._client.ask("delete_objects", bucket, Bucket=bucket, Delete=wanted)
        failures = [failed for failed in answer.get("Errors", []) if failed.get("Code") != GONE]
        for failed in failures[:1]:
            subject = f"{bucket}/{failed.get('Key')} and {len(failures) - 1} more"
            raise error_of(STORAGE_FAILED, told_of(failed), subject)
