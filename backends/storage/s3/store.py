"""The ObjectStore on Amazon S3 and what speaks like it: keys are keys, locators are ETags."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from msgspec import structs

from backends.errors import (
    AccessDenied,
    BucketNotFound,
    NotFound,
    NotSupported,
    PreconditionFailed,
    Refused,
    Unavailable,
    UploadNotFound,
)
from backends.model import Bucket, Facts, Version
from backends.storage import carried
from backends.storage.http1 import Response
from backends.storage.looking import require_bytes, require_replaced
from backends.storage.pieces import nothing
from backends.storage.protocol import Capabilities, Fetched, Source, Stored, StoredPart
from backends.storage.s3.attributes import OURS, stored_of
from backends.storage.s3.buckets import Buckets
from backends.storage.s3.client import Client
from backends.storage.s3.connection import body_of, document
from backends.storage.s3.copying import Copying
from backends.storage.s3.deleting import Deletions
from backends.storage.s3.listing import PAGE, parse_page, query_of
from backends.storage.s3.options import S3Options
from backends.storage.s3.sealing import Seals
from backends.storage.s3.uploads import LEAST_PART, Uploads
from backends.storage.s3.writing import Writing, condition_of, conditional

PARTIAL: Final = 206
OUT_OF_RANGE: Final = 416


class S3Store:
    """Objects of one account. Nothing is connected before the first call."""

    def __init__(self, options: S3Options) -> None:
        self._capabilities = Capabilities(
            keeps_replaced=False,
            conditional=options.conditional_writes,
            lists_facts=False,
            etag_is_locator=True,
            least_part=LEAST_PART,
        )
        self._client = Client(options)
        self._buckets = Buckets(self._client, options)
        self._seals = Seals(self._client, enabled=options.object_tags)
        self._uploads = Uploads(self._client)
        self._writing = Writing(self._client, self._uploads, self._seals, options)
        self._deletions = Deletions(self._client)
        self._copying = Copying(self._client, self._uploads, options.copy_bytes)

    @property
    def capabilities(self) -> Capabilities:
        known = self._capabilities
        if known.checks_up_to != self._writing.checks_up_to:
            self._capabilities = replace(known, checks_up_to=self._writing.checks_up_to)
        return self._capabilities

    async def ping(self) -> None:
        connection = await self._client.connection()
        try:
            async with await connection.send(
                "GET", "", query=[("max-buckets", "1")], repeatable=False
            ):
                return
        except AccessDenied as error:
            if " AccessDenied" not in str(error):
                raise

    async def create_bucket(self, bucket: Bucket) -> None:
        await self._buckets.create(bucket)

    async def find_bucket(self, bucket: str) -> Bucket:
        return await self._buckets.find(bucket)

    async def delete_bucket(self, bucket: str) -> None:
        await self._buckets.delete(bucket)

    def buckets(self) -> AsyncIterator[Bucket]:
        return self._buckets.listing()

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        condition = self._condition(replacing)
        with conditional(condition, f"{bucket}/{key}"):
            return await self._writing.put(bucket, key, source, condition)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        if length == 0:
            await require_bytes(self, bucket, key, locator)
            return nothing()
        connection = await self._client.connection()
        headers = {"if-match": f'"{locator}"'} if locator else {}
        if start or length is not None:
            last = "" if length is None else str(start + length - 1)
            headers["range"] = f"bytes={start}-{last}"
        try:
            response = await connection.send("GET", bucket, key, headers=headers)
        except PreconditionFailed as error:
            raise NotFound(f"the storage has no bytes {locator} at {bucket}/{key}") from error
        except Refused as error:
            if f" {OUT_OF_RANGE} " not in str(error):
                raise
            await require_bytes(self, bucket, key, locator)
            return nothing()
        if (
            "range" in headers
            and response.status != PARTIAL
            and not _is_all(response, start, length)
        ):
            response.close()
            raise NotSupported(f"{bucket}/{key}: the storage has no ranges")
        if "etag" not in response.headers:
            response.close()
            raise Unavailable(f"{bucket}/{key}: the storage's answer has no ETag")
        return await body_of(response, f"{bucket}/{key}")

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        connection = await self._client.connection()
        async with await connection.send("HEAD", bucket, key) as answer:
            headers = answer.headers
        stored = await self._told(bucket, key, headers)
        if version is not None and stored.facts.version != version:
            raise NotFound(f"the storage has nothing of that version at {bucket}/{key}")
        return stored

    async def fetch(self, bucket: str, key: str) -> Fetched:
        connection = await self._client.connection()
        answer = await connection.send("GET", bucket, key)
        try:
            stored = await self._told(bucket, key, answer.headers)
        except BaseException:
            answer.close()
            raise
        return Fetched(stored, await body_of(answer, f"{bucket}/{key}"))

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        """With a locator the storage is asked first what it has: S3 has no such condition."""
        connection = await self._client.connection()
        try:
            if locator and (await self.head(bucket, key)).locator != locator:
                return
            async with await connection.send("DELETE", bucket, key):
                return
        except NotFound:
            return

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        await self._deletions.delete(bucket, keys)

    async def copy(
        self,
        bucket: str,
        key: str,
        locator: str,
        to_bucket: str,
        to_key: str,
        facts: Facts,
        *,
        replacing: str | None = None,
    ) -> Stored:
        if replacing is not None:
            await require_replaced(self, to_bucket, to_key, replacing)
        condition = self._condition(replacing)
        return await self._copying.copy((bucket, key, locator), to_bucket, to_key, facts, condition)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        connection = await self._client.connection()
        token = ""
        left = sys.maxsize if most is None else most
        while left > 0:
            query = query_of(prefix, after, token, min(left, PAGE))
            try:
                async with await connection.send("GET", bucket, query=query) as answer:
                    page = parse_page(await document(answer, bucket))
            except BucketNotFound:
                raise
            except NotFound as error:
                raise BucketNotFound(f"the storage has no bucket {bucket}") from error
            for stored in page.entries:
                yield stored
            left -= len(page.entries)
            token = page.token
            if not token:
                return

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        return await self._uploads.create(bucket, key, facts)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        return await self._writing.put_part(bucket, key, upload, number, source)

    async def complete_upload(
        self,
        bucket: str,
        key: str,
        upload: str,
        parts: Sequence[StoredPart],
        facts: Facts,
        *,
        replacing: str | None = None,
    ) -> Stored:
        condition = self._condition(replacing)
        with conditional(condition, f"{bucket}/{key}"):
            etag = await self._uploads.complete(bucket, key, upload, parts, condition)
        await self._seals.write(bucket, key, structs.replace(facts, etag=""), facts)
        return Stored(key, sum(part.size for part in parts), etag, facts)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        try:
            await self._uploads.abort(bucket, key, upload)
        except (UploadNotFound, NotFound):
            return

    async def sweep(self) -> int:
        """What a crashed writer left is an upload that never ends: a lifecycle rule drops those."""
        return 0

    async def close(self) -> None:
        await self._client.close()

    async def _told(self, bucket: str, key: str, headers: Mapping[str, str]) -> Stored:
        """What the headers of an answer that is the whole object tell of it."""
        stored = stored_of(key, int(headers.get("content-length", "0")), headers)
        if not stored.locator:
            raise Unavailable(f"{bucket}/{key}: the storage's answer has no ETag")
        text = headers.get(OURS, "")
        if text and carried.is_late(text):
            return await self._seals.opened(bucket, stored)
        return stored

    def _condition(self, replacing: str | None) -> dict[str, str]:
        if replacing is not None and not self.capabilities.conditional:
            raise NotSupported("the storage has no conditional writes")
        return condition_of(replacing)


def _is_all(response: Response, start: int, length: int | None) -> bool:
    """Whether the whole object is what was asked for, so that it may come as such."""
    size = response.length
    return start == 0 and size is not None and (length is None or size <= length)
