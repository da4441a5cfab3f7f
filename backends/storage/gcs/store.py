"""The ObjectStore on Google Cloud Storage: keys are objects, locators generations."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress

from backends.errors import BackendError, BucketNotFound, InvalidPart, NotFound, PreconditionFailed
from backends.model import Bucket, Facts, Version
from backends.storage.gcs.attributes import resource_of, stored_of
from backends.storage.gcs.buckets import Buckets
from backends.storage.gcs.checksums import joined
from backends.storage.gcs.composing import (
    Piece,
    compose,
    folder_of,
    part_name,
    part_token,
    piece_of,
)
from backends.storage.gcs.connection import Connection, object_path
from backends.storage.gcs.copying import rewrite
from backends.storage.gcs.credentials import Tokens
from backends.storage.gcs.errors import Unsatisfiable
from backends.storage.gcs.listing import listed
from backends.storage.gcs.marked import Target
from backends.storage.gcs.names import name_of
from backends.storage.gcs.options import GCSOptions
from backends.storage.gcs.reading import read
from backends.storage.gcs.uploading import Uploading, patch, require_digest
from backends.storage.looking import (
    delete_each,
    fetch_after_head,
    require_bytes,
    require_replaced,
)
from backends.storage.pieces import nothing
from backends.storage.protocol import Capabilities, Fetched, Source, Stored, StoredPart
from backends.storage.reserved import is_reserved
from backends.storage.source import BytesSource


class GCSStore:
    """Objects of one project. To be opened while an event loop runs.

    The parts of an upload are hidden objects, for the API has no multipart upload; completing
    composes them, which moves no byte.
    """

    capabilities = Capabilities(keeps_replaced=False)

    def __init__(self, options: GCSOptions) -> None:
        tokens = Tokens(options)
        self._connection = Connection(options, tokens)
        self._uploading = Uploading(self._connection, options.chunk_bytes)
        self._buckets = Buckets(self._connection, tokens, options)

    async def ping(self) -> None:
        await self._buckets.ping()

    async def create_bucket(self, bucket: Bucket) -> None:
        if await self._buckets.create(bucket):
            data = self._buckets.record_of(bucket)
            facts = Facts(Version(0, "bucket"), len(data))
            await self.put(bucket.name, self._buckets.record, BytesSource(data, facts))

    async def find_bucket(self, bucket: str) -> Bucket:
        try:
            body = await self.get(bucket, self._buckets.record)
        except NotFound:
            return await self._buckets.find(bucket)
        return self._buckets.parse(bucket, b"".join([block async for block in body]))

    async def delete_bucket(self, bucket: str) -> None:
        hidden: list[str] = []
        async for stored in listed(self._connection, bucket, ""):
            if not is_reserved(stored.key):
                raise self._buckets.not_empty(bucket)
            hidden.append(stored.key)
        await self.delete_many(bucket, hidden)
        await self._buckets.delete(bucket)

    def buckets(self) -> AsyncIterator[Bucket]:
        return self._buckets.listing()

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        target = Target.of(bucket, name_of(key), replacing)
        with known(bucket):
            sent = await self._uploading.put(target, source)
        return Stored(key, sent.size, sent.generation, source.facts)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        if locator and not locator.isdigit():
            raise NotFound(f"the storage has no bytes {locator} at {bucket}/{key}")
        if length == 0:
            await require_bytes(self, bucket, key, locator)
            return nothing()
        try:
            return await read(self._connection, bucket, key, locator, start, length)
        except Unsatisfiable:
            await require_bytes(self, bucket, key, locator)
            return nothing()

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        stored = stored_of(await self._connection.ask("GET", object_path(bucket, name_of(key))))
        if version is not None and stored.facts.version != version:
            raise NotFound(f"the storage has nothing of that version at {bucket}/{key}")
        return stored

    async def fetch(self, bucket: str, key: str) -> Fetched:
        """The JSON API tells no metadata with the bytes."""
        return await fetch_after_head(self, bucket, key)

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        """With a locator it is looked at first: not every server knows conditions on deletes."""
        query = {"ifGenerationMatch": locator} if locator else {}
        with suppress(NotFound, PreconditionFailed):
            if locator:
                await require_bytes(self, bucket, key, locator)
            await self._connection.ask("DELETE", object_path(bucket, name_of(key)), query=query)

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
        if locator:
            await require_bytes(self, bucket, key, locator)
        if replacing is not None:
            await require_replaced(self, to_bucket, to_key, replacing)
        source = object_path(bucket, name_of(key))
        target = Target.of(to_bucket, name_of(to_key), replacing)
        copied = rewrite(self._connection, source, locator, target, resource_of(facts))
        resource = await target.settled(self._connection, copied)
        return Stored(to_key, facts.size, str(resource["generation"]), facts)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        left = most
        async for stored in listed(self._connection, bucket, prefix, after, most):
            if left is not None and left <= 0:
                return
            if stored.key == self._buckets.record:
                continue
            yield stored
            left = None if left is None else left - 1

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        del key, facts
        await self._buckets.find(bucket)
        return secrets.token_hex(8)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        del key
        nonce = secrets.token_hex(8)
        target = Target.of(bucket, part_name(upload, number, nonce), None)
        with known(bucket):
            sent = await self._uploading.put_part(target, source)
        return part_token(nonce, sent.size, sent.digest)

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
        pieces = [piece_of(upload, part) for part in parts]
        await self._require_parts(bucket, upload, pieces)
        if replacing is not None:
            await require_replaced(self, bucket, key, replacing)
        if any(piece.size for piece in pieces):
            stored = await self._compose(bucket, key, upload, pieces, facts, replacing)
        else:
            stored = await self.put(bucket, key, BytesSource(b"", facts), replacing=replacing)
        with suppress(BackendError):  # the object is there: what is left of its parts harms nobody
            await self.abort_upload(bucket, key, upload)
        return stored

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        del key
        with suppress(BucketNotFound):
            found = listed(self._connection, bucket, folder_of(upload))
            await self.delete_many(bucket, [stored.key async for stored in found])

    async def sweep(self) -> int:
        """Sessions that nobody finishes end by themselves after a week."""
        return 0

    async def close(self) -> None:
        await self._connection.close()

    async def _compose(
        self,
        bucket: str,
        key: str,
        upload: str,
        pieces: Sequence[Piece],
        facts: Facts,
        replacing: str | None,
    ) -> Stored:
        """One object of the pieces; not every server heeds what is said of it at once."""
        target = Target.of(bucket, name_of(key), replacing)
        wanted = target.marked(resource_of(facts))
        names = [piece.name for piece in pieces if piece.size]
        resource = await compose(self._connection, target, upload, names, wanted)
        digest = joined((piece.digest, piece.size) for piece in pieces)
        await require_digest(self._connection, target, resource, digest)
        if (resource.get("metadata") or {}) != wanted["metadata"]:
            resource = await patch(self._connection, bucket, resource, wanted)
        size = sum(piece.size for piece in pieces)
        return Stored(key, size, str(resource["generation"]), facts)

    async def _require_parts(self, bucket: str, upload: str, pieces: Sequence[Piece]) -> None:
        """InvalidPart unless these parts are there."""
        found = listed(self._connection, bucket, folder_of(upload))
        names = {stored.key async for stored in found}
        for piece in pieces:
            if piece.name not in names:
                raise InvalidPart(f"{bucket}: the storage has no part {piece.name}")


@contextmanager
def known(bucket: str) -> Iterator[None]:
    """Around an upload: what it does not find is its bucket."""
    try:
        yield
    except NotFound as error:
        raise BucketNotFound(f"the storage has no bucket {bucket}") from error
