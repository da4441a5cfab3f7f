"""Buckets of an S3 endpoint: owner and region ride as tags of theirs."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any, Final

from backends.errors import (
    AccessDenied,
    AlreadyExists,
    BackendError,
    NotFound,
    Refused,
    Unavailable,
)
from backends.model import Bucket
from backends.storage.carried import NAME
from backends.storage.s3.client import Client
from backends.storage.s3.options import S3Options
from backends.storage.s3.sealing import WITHOUT_TAGS

AMAZONS_DEFAULT: Final = "us-east-1"
PLAIN: Final = re.compile(r"[A-Za-z0-9 +=._:/@-]*")
ENCODED: Final = "base64:"


class Buckets:
    """The verbs of the protocol that are about buckets."""

    def __init__(self, client: Client, options: S3Options) -> None:
        self._client = client
        self._options = options

    async def create(self, bucket: Bucket) -> None:
        """As ObjectStore.create_bucket."""
        try:
            await self._head(bucket.name)
        except (NotFound, AccessDenied):  # what is another's may not be looked at
            await self._make(bucket)

    async def _make(self, bucket: Bucket) -> None:
        region = self._options.region
        wanted: dict[str, Any] = {"Bucket": bucket.name}
        if region != AMAZONS_DEFAULT:
            wanted["CreateBucketConfiguration"] = {"LocationConstraint": region}
        try:
            await self._client.ask("create_bucket", bucket.name, **wanted)
        except AlreadyExists:
            if not await self._is_ours(bucket.name):
                raise
        if self._options.bucket_tags:
            await self._tag(bucket)

    async def find(self, bucket: str) -> Bucket:
        """As ObjectStore.find_bucket."""
        tags = {}
        if self._options.bucket_tags:
            tags = await self._tags(bucket)
        else:
            await self._head(bucket)
        created = tags.get(f"{NAME}-created", "")
        return Bucket(
            bucket,
            _text(tags.get(f"{NAME}-owner", "")),
            int(created) if created.isdecimal() else 0,
            tags.get(f"{NAME}-region", ""),
        )

    async def delete(self, bucket: str) -> None:
        """As ObjectStore.delete_bucket."""
        connection = await self._client.connection()
        async with await connection.send("DELETE", bucket, repeatable=False):
            return

    async def listing(self) -> AsyncIterator[Bucket]:
        """As ObjectStore.buckets."""
        answer = await self._client.ask("list_buckets", "all buckets")
        found = list(answer.get("Buckets", []))
        while token := answer.get("ContinuationToken"):
            answer = await self._client.ask("list_buckets", "all buckets", ContinuationToken=token)
            found += answer.get("Buckets", [])
        for one in sorted(found, key=lambda one: one["Name"]):
            yield Bucket(one["Name"], "", int(one["CreationDate"].timestamp() * 1000))

    async def _is_ours(self, bucket: str) -> bool:
        return bucket in {found.name async for found in self.listing()}

    async def _head(self, bucket: str) -> None:
        await self._client.ask("head_bucket", bucket, Bucket=bucket)

    async def _tags(self, bucket: str) -> dict[str, str]:
        """The bucket's tags; none where the endpoint knows of none. BucketNotFound."""
        try:
            answer = await self._client.ask("get_bucket_tagging", bucket, Bucket=bucket)
        except WITHOUT_TAGS as refused:
            await self._require(bucket, refused)
            return {}
        except NotFound as error:
            if type(error) is NotFound:
                return {}
            raise
        if "TagSet" not in answer:
            raise Unavailable(f"the storage's answer has no tags of {bucket}")
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    async def _require(self, bucket: str, refused: BackendError) -> None:
        """What was refused says more than the answer to a HEAD, if the bucket cannot be seen."""
        try:
            await self._head(bucket)
        except (AccessDenied, Refused):
            raise refused from None

    async def _tag(self, bucket: Bucket) -> None:
        tags = {"owner": _ascii(bucket.owner), "created": str(bucket.created)}
        tags |= {"region": bucket.region} if bucket.region else {}
        tag_set = [{"Key": f"{NAME}-{name}", "Value": value} for name, value in tags.items()]
        try:
            await self._client.ask(
                "put_bucket_tagging", bucket.name, Bucket=bucket.name, Tagging={"TagSet": tag_set}
            )
        except WITHOUT_TAGS:
            return


def _ascii(owner: str) -> str:
    """A tag's value takes few characters."""
    if PLAIN.fullmatch(owner) and not owner.startswith(ENCODED):
        return owner
    return ENCODED + urlsafe_b64encode(owner.encode()).decode()


def _text(value: str) -> str:
    if not value.startswith(ENCODED):
        return value
    return urlsafe_b64decode(value.removeprefix(ENCODED)).decode()
