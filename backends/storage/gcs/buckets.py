"""Buckets of a project; owner and region lie in a hidden object of each."""

from collections.abc import AsyncIterator
from typing import Final

from msgspec import DecodeError, ValidationError, json
from msgspec.structs import replace

from backends.errors import AccessDenied, AlreadyExists, BucketNotFound, NotEmpty, NotFound
from backends.model import Bucket
from backends.storage.gcs.attributes import milliseconds
from backends.storage.gcs.connection import BUCKETS, Connection, bucket_path
from backends.storage.gcs.credentials import Tokens
from backends.storage.gcs.names import require_bucket
from backends.storage.gcs.options import GCSOptions
from backends.storage.reserved import RESERVED


class Buckets:
    """The verbs of the protocol that are about buckets. `record` is the hidden object's key."""

    record: Final = f"{RESERVED}bucket"

    def __init__(self, connection: Connection, tokens: Tokens, options: GCSOptions) -> None:
        self._connection = connection
        self._tokens = tokens
        self._location = options.location

    async def ping(self) -> None:
        """As ObjectStore.ping."""
        await self._connection.ask(
            "GET", BUCKETS, query={**await self._project(), "maxResults": "1"}
        )

    async def create(self, bucket: Bucket) -> bool:
        """Whether it was made here: one of ours is left as it is. AlreadyExists, InvalidName."""
        require_bucket(bucket.name)
        try:
            await self._make(bucket)
        except AlreadyExists as error:
            await self._require_ours(bucket.name, error)
            return False
        return True

    async def find(self, bucket: str) -> Bucket:
        """The bucket, without its owner. BucketNotFound."""
        try:
            found = await self._connection.ask("GET", bucket_path(bucket))
        except NotFound as error:
            raise BucketNotFound(f"the storage has no bucket {bucket}") from error
        return Bucket(bucket, "", milliseconds(found["timeCreated"]))

    async def delete(self, bucket: str) -> None:
        """BucketNotFound; NotEmpty."""
        try:
            await self._connection.ask("DELETE", bucket_path(bucket))
        except AlreadyExists as error:
            raise self.not_empty(bucket) from error
        except NotFound as error:
            raise BucketNotFound(f"the storage has no bucket {bucket}") from error

    async def listing(self) -> AsyncIterator[Bucket]:
        """As ObjectStore.buckets."""
        query = await self._project()
        all_found: dict[str, int] = {}
        while True:
            page = await self._connection.ask("GET", BUCKETS, query=query)
            for found in page.get("items") or []:
                all_found[found["name"]] = milliseconds(found["timeCreated"])
            if not page.get("nextPageToken"):
                break
            query["pageToken"] = page["nextPageToken"]
        for name in sorted(all_found):
            yield Bucket(name, "", all_found[name])

    def record_of(self, bucket: Bucket) -> bytes:
        """What the hidden object holds."""
        return json.encode(replace(bucket, storage=""))

    def parse(self, bucket: str, record: bytes) -> Bucket:
        """The bucket that a hidden object tells of; without an owner where it tells nothing."""
        try:
            return replace(json.decode(record, type=Bucket), name=bucket)
        except (DecodeError, ValidationError):
            return Bucket(bucket, "", 0)

    def not_empty(self, bucket: str) -> NotEmpty:
        return NotEmpty(f"the storage still has objects in {bucket}")

    async def _make(self, bucket: Bucket) -> None:
        content = {"name": bucket.name}
        if self._location:
            content["location"] = self._location
        await self._connection.ask(
            "POST", BUCKETS, query=await self._project(), content=content, repeatable=False
        )

    async def _require_ours(self, bucket: str, taken: AlreadyExists) -> None:
        """The error again, where the bucket that has the name is not for us to see."""
        try:
            await self.find(bucket)
        except (AccessDenied, BucketNotFound):
            raise taken from None

    async def _project(self) -> dict[str, str]:
        await self._tokens.current()
        return {"project": self._tokens.project}
