"""The ObjectStore on Azure Blob Storage: keys are blobs, buckets containers, locators ETags."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final

from backends.errors import AlreadyExists, BucketNotFound, NotEmpty, NotFound, PreconditionFailed
from backends.model import Bucket, Facts, Version
from backends.storage.azure.account import Account
from backends.storage.azure.attributes import bucket_of, container_metadata, stored_of
from backends.storage.azure.blocks import blocks_of, hidden, new_token, part_token
from backends.storage.azure.conditions import only_if
from backends.storage.azure.copying import copy_bytes, is_whole, set_headers
from backends.storage.azure.errors import translated
from backends.storage.azure.listing import in_order, start_of
from backends.storage.azure.names import (
    blob_of,
    blob_prefix_of,
    broken_rule,
    key_of,
    require_container,
)
from backends.storage.azure.options import AzureOptions
from backends.storage.azure.reading import fetch, read
from backends.storage.azure.target import Target
from backends.storage.azure.writing import drop, publish, put_whole, stage
from backends.storage.looking import delete_each, require_bytes
from backends.storage.pieces import begun, chained, sized
from backends.storage.protocol import Capabilities, Fetched, Source, Stored, StoredPart
from backends.storage.reserved import is_reserved

PAGE: Final = 1000


class AzureStore:
    """Objects of one account. Nothing is connected before the first call.

    A body of one block is written in one request. The blocks of a larger one, and the parts of an
    upload, are gathered on a hidden blob of their own, below `.clone-cloud-store/parts/`; that is
    committed and copied, inside the account, to its key, so that writers of one key do not harm
    each other and an object is there whole or not at all. Azure drops blocks that nobody commits
    after a week. A crash between the commit and the end of the copy leaves a hidden blob: a
    lifecycle rule of the account may delete those of that prefix that are older than a week.

    A blob has up to 50,000 blocks: with blocks of 4 MiB objects end at 195 GiB, with larger ones
    later. A key whose blob's name is longer than 1,024 characters or has more than 254 segments is
    refused by Azure. Keys that had to be escaped (control characters, backslashes, segments that
    end in dots) are listed where their escapes belong, all others in order. Accounts with a
    hierarchical namespace sort otherwise: they are not supported.
    """

    capabilities = Capabilities(keeps_replaced=False)

    def __init__(self, options: AzureOptions) -> None:
        self._account = Account(options)
        self._block_bytes = options.block_bytes

    async def ping(self) -> None:
        service = await self._account.service()
        with translated("asking the account"):
            await anext(aiter(service.list_containers(results_per_page=1)), None)

    async def create_bucket(self, bucket: Bucket) -> None:
        require_container(bucket.name)
        container = await self._account.container(bucket.name)
        try:
            with translated(bucket.name):
                await container.create_container(metadata=container_metadata(bucket))
        except AlreadyExists:
            return

    async def find_bucket(self, bucket: str) -> Bucket:
        container = await self._account.container(bucket)
        try:
            with translated(bucket):
                return bucket_of(bucket, await container.get_container_properties())
        except NotFound as error:
            raise BucketNotFound(f"the storage has no bucket {bucket}") from error

    async def delete_bucket(self, bucket: str) -> None:
        """Azure deletes what is not empty, so it is looked at first."""
        async with aclosing(self.listing(bucket)) as found:
            async for stored in found:
                if not is_reserved(stored.key):
                    raise NotEmpty(f"the storage still has objects in {bucket}")
        container = await self._account.container(bucket)
        with translated(bucket):
            await container.delete_container()

    async def buckets(self) -> AsyncIterator[Bucket]:
        """Containers whose names no bucket can have ($web, $logs) are left out."""
        service = await self._account.service()
        with translated("listing the containers"):
            async for properties in service.list_containers(include_metadata=True):
                if not broken_rule(properties.name):
                    yield bucket_of(properties.name, properties)

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        target = await self._target(bucket, key, replacing)
        pieces = sized(aiter(source), self._block_bytes)
        early, whole = await begun(pieces, source.size, self._block_bytes)
        if not whole:
            body = chained(early, pieces)
            return await self._put_blocks(target, bucket, key, source, body)
        facts = source.facts
        etag = await target.settled(put_whole(target, early[0], facts))
        return Stored(key, len(early[0]), etag, facts)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        blob = await self._account.blob(bucket, key)
        return await read(blob, locator, f"{bucket}/{key}", start, length)

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        blob = await self._account.blob(bucket, key)
        with translated(f"{bucket}/{key}"):
            properties = await blob.get_blob_properties()
        stored = stored_of(properties)
        if not is_whole(properties) or version not in {None, stored.facts.version}:
            raise NotFound(f"the storage has nothing of that version at {bucket}/{key}")
        return stored

    async def fetch(self, bucket: str, key: str) -> Fetched:
        return await fetch(await self._account.blob(bucket, key), f"{bucket}/{key}")

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        try:
            blob = await self._account.blob(bucket, key)
            with translated(f"{bucket}/{key}"):
                await blob.delete_blob(delete_snapshots="include", **only_if(locator))
        except (NotFound, PreconditionFailed):
            return

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        await delete_each(self, bucket, keys)

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
        """The content headers follow the bytes: until then those of the source are seen."""
        source = await self._account.blob(bucket, key)
        target = await self._target(to_bucket, to_key, replacing)
        try:
            etag = await target.settled(copy_bytes(source, locator, target, facts))
        except PreconditionFailed:
            await require_bytes(self, bucket, key, locator)
            raise
        return await set_headers(target.blob, etag, facts)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        container = await self._account.container(bucket)
        begin, behind = blob_prefix_of(prefix), blob_of(after)
        pages = container.list_blobs(
            name_starts_with=begin or None,
            include=["metadata", "copy"],
            results_per_page=PAGE if most is None or after else max(1, min(most, PAGE)),
            **_start(begin, behind),
        ).by_page()

        def wanted(blob: Any) -> bool:
            named = blob.name > behind and key_of(blob.name).startswith(prefix)
            return named and is_whole(blob)

        with translated(bucket):
            async with aclosing(in_order(pages, wanted, known=len(begin), most=most)) as blobs:
                async for blob in blobs:
                    yield stored_of(blob)

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        del key, facts
        await self.find_bucket(bucket)
        return new_token()

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        gathering = await self._account.blob(bucket, hidden(upload))
        nonce = new_token()
        pieces = sized(aiter(source), self._block_bytes)
        count, _ = await stage(gathering, (upload, number, nonce), pieces, f"{bucket}/{key}")
        if not count:
            await self.find_bucket(bucket)
        return part_token(nonce, count)

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
        gathering = await self._account.blob(bucket, hidden(upload))
        target = await self._target(bucket, key, replacing)
        blocks = [block for part in parts for block in blocks_of(upload, part)]
        etag = await target.settled(publish(gathering, blocks, target, facts))
        await drop(gathering)
        return Stored(key, sum(part.size for part in parts), etag, facts)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """Commit nothing, which drops the blocks, and delete that."""
        gathering = await self._account.blob(bucket, hidden(upload))
        try:
            with translated(f"{bucket}/{key}"):
                await gathering.commit_block_list([])
        except NotFound:
            return
        await self.delete(bucket, hidden(upload))

    async def sweep(self) -> int:
        """Azure does it."""
        return 0

    async def close(self) -> None:
        await self._account.close()

    async def _target(self, bucket: str, key: str, replacing: str | None) -> Target:
        return Target.of(await self._account.blob(bucket, key), f"{bucket}/{key}", replacing)

    async def _put_blocks(
        self,
        target: Target,
        bucket: str,
        key: str,
        source: Source,
        pieces: AsyncIterator[bytes],
    ) -> Stored:
        token, nonce = new_token(), new_token()
        gathering = await self._account.blob(bucket, hidden(token))
        count, size = await stage(gathering, (token, 0, nonce), pieces, target.subject)
        facts = source.facts
        blocks = blocks_of(token, StoredPart(0, part_token(nonce, count), size))
        try:
            etag = await target.settled(publish(gathering, blocks, target, facts))
        finally:
            await drop(gathering)
        return Stored(key, size, etag, facts)


def _start(prefix: str, after: str) -> dict[str, Any]:
    """Where a listing may begin; not every server heeds it."""
    start = start_of(after)
    return {"start_from": start} if after and start.startswith(prefix) else {}
