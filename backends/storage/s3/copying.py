"""Copies inside an S3 endpoint: in one request up to a size of at most 5 GiB, in parts above."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from backends.bounded import bounded
from backends.errors import NotFound, PreconditionFailed, Refused
from backends.model import Facts
from backends.storage.protocol import Stored, StoredPart
from backends.storage.s3.attributes import headers_of
from backends.storage.s3.client import Client
from backends.storage.s3.connection import document
from backends.storage.s3.errors import parse_answer
from backends.storage.s3.uploads import LEAST_PART, MOST_PARTS, Uploads

PART: Final = 1024**3
AT_ONCE: Final = 4
Original = tuple[str, str, str]


class Copying:
    """`Original` is (bucket, key, ETag): nothing else is copied than the bytes it names."""

    def __init__(self, client: Client, uploads: Uploads, most: int) -> None:
        self._client = client
        self._uploads = uploads
        self._most = most

    async def copy(
        self,
        original: Original,
        bucket: str,
        key: str,
        facts: Facts,
        condition: Mapping[str, str],
    ) -> Stored:
        """As ObjectStore.copy."""
        try:
            copied = self._in_parts if facts.size > self._most else self._whole
            etag = await copied(original, bucket, key, facts, condition)
        except (PreconditionFailed, Refused) as error:
            told = condition or isinstance(error, Refused)
            if told and await self._is_there(original):
                raise
            raise NotFound(f"{original[0]}/{original[1]} was changed meanwhile") from error
        return Stored(key, facts.size, etag, facts)

    async def _whole(
        self,
        original: Original,
        bucket: str,
        key: str,
        facts: Facts,
        condition: Mapping[str, str],
    ) -> str:
        connection = await self._client.connection()
        subject = f"copying to {bucket}/{key}"
        headers = {"x-amz-metadata-directive": "REPLACE", **headers_of(facts)}
        async with await connection.send(
            "PUT",
            bucket,
            key,
            headers={**headers, **_source(original), **condition},
            repeatable=not condition,
        ) as answer:
            etag = parse_answer(await document(answer, subject), "ETag", subject)
        return etag.strip('"')

    async def _is_there(self, original: Original) -> bool:
        """Whether what is to be copied is still at its key."""
        bucket, key, etag = original
        connection = await self._client.connection()
        async with await connection.send("HEAD", bucket, key) as answer:
            return etag in {"", answer.headers.get("etag", "").strip('"')}

    async def _in_parts(
        self,
        original: Original,
        bucket: str,
        key: str,
        facts: Facts,
        condition: Mapping[str, str],
    ) -> str:
        upload = await self._uploads.create(bucket, key, facts)

        step = max(min(PART, self._most), LEAST_PART, -(-facts.size // MOST_PARTS))

        async def part(start: int) -> StoredPart:
            number, end = start // step + 1, min(start + step, facts.size)
            return await self._part(original, bucket, key, upload, number, range(start, end))

        try:
            parts = await bounded(part, range(0, facts.size, step), at_once=AT_ONCE)
            return await self._uploads.complete(bucket, key, upload, parts, condition)
        except BaseException:
            await self._uploads.give_up(bucket, key, upload)
            raise

    async def _part(
        self, original: Original, bucket: str, key: str, upload: str, number: int, span: range
    ) -> StoredPart:
        connection = await self._client.connection()
        subject = f"copying part {number} to {bucket}/{key}"
        headers = {"x-amz-copy-source-range": f"bytes={span.start}-{span.stop - 1}"}
        query = [("partNumber", str(number)), ("uploadId", upload)]
        async with await connection.send(
            "PUT", bucket, key, query=query, headers={**headers, **_source(original)}
        ) as answer:
            etag = parse_answer(await document(answer, subject), "ETag", subject)
        return StoredPart(number, etag.strip('"'), len(span))


def _source(original: Original) -> dict[str, str]:
    bucket, key, etag = original
    source = {"x-amz-copy-source": quote(f"/{bucket}/{key}", safe="/-._~")}
    return source | ({"x-amz-copy-source-if-match": f'"{etag}"'} if etag else {})
