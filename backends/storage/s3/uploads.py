"""Multipart uploads of an S3 endpoint."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from backends.errors import BackendError, InvalidPart, UploadNotFound
from backends.model import Facts
from backends.storage.protocol import StoredPart
from backends.storage.s3.attributes import headers_of
from backends.storage.s3.client import Client, field_of
from backends.storage.s3.connection import document
from backends.storage.s3.errors import parse_answer

LEAST_PART: Final = 5 * 1024 * 1024
MOST_PARTS: Final = 10_000
LATE_PARTS: Final = (0.05, 0.1, 0.2, 0.4)
CONDITIONS: Final = {"if-match": "IfMatch", "if-none-match": "IfNoneMatch"}


class Uploads:
    """Begins, completes and aborts; parts go out with the other bodies."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def create(self, bucket: str, key: str, facts: Facts) -> str:
        """The endpoint's id of a new upload. Not repeated: each request makes one."""
        connection = await self._client.connection()
        subject = f"POST {bucket}/{key}?uploads"
        async with await connection.send(
            "POST",
            bucket,
            key,
            query=[("uploads", "")],
            headers=headers_of(facts),
            repeatable=False,
        ) as answer:
            return parse_answer(await document(answer, subject), "UploadId", subject)

    async def complete(
        self,
        bucket: str,
        key: str,
        upload: str,
        parts: Sequence[StoredPart],
        condition: Mapping[str, str],
    ) -> str:
        """The ETag of the joined parts. InvalidPart also where the upload is over."""
        named = [{"PartNumber": part.number, "ETag": part.token} for part in parts]
        try:
            answer = await self._client.ask(
                "complete_multipart_upload",
                f"{bucket}/{key}",
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": named},
                **{CONDITIONS[name]: value for name, value in condition.items()},
            )
        except UploadNotFound as error:
            raise InvalidPart(f"{bucket}/{key}: the storage has no such upload") from error
        return field_of(answer, "ETag").strip('"')

    async def abort(self, bucket: str, key: str, upload: str) -> None:
        """UploadNotFound, BucketNotFound."""
        await self._client.ask(
            "abort_multipart_upload", f"{bucket}/{key}", Bucket=bucket, Key=key, UploadId=upload
        )

    async def give_up(self, bucket: str, key: str, upload: str) -> None:
        """Abort it until the endpoint knows it no more; what it does not answer is left.

        Parts that were under way may arrive behind an abort, and then they stay (S3 API reference,
        AbortMultipartUpload).
        """
        with suppress(BackendError):
            for pause in LATE_PARTS:
                await self.abort(bucket, key, upload)
                await asyncio.sleep(pause)
