"""Every verb of a store inside one frame: what happens around a call, around a body, in one place.

Layers that treat all verbs alike (a meter, a circuit breaker) say what a frame does, and nothing
else.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from backends.model import Bucket, Facts, Version
from backends.storage.layers.flowing import Flow
from backends.storage.layers.forwarding import Forwarding
from backends.storage.protocol import Fetched, ObjectStore, Source, Stored, StoredPart


class Frame(Protocol):
    """What is done around verbs and bodies."""

    def call(self, verb: str) -> AbstractAsyncContextManager[None]:
        """Around a verb that carries no body."""

    def carry(self, verb: str) -> AbstractAsyncContextManager[None]:
        """Around a verb that carries a body in."""

    def inward(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A body on its way into the storage."""

    def outward(
        self, verb: str, blocks: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """A body on its way out of the storage."""


class Watched(Forwarding):
    """A store whose verbs all go through a frame."""

    def __init__(self, inner: ObjectStore, frame: Frame) -> None:
        super().__init__(inner)
        self._frame = frame

    async def ping(self) -> None:
        async with self._frame.call("ping"):
            await super().ping()

    async def create_bucket(self, bucket: Bucket) -> None:
        async with self._frame.call("create_bucket"):
            await super().create_bucket(bucket)

    async def find_bucket(self, bucket: str) -> Bucket:
        async with self._frame.call("find_bucket"):
            return await super().find_bucket(bucket)

    async def delete_bucket(self, bucket: str) -> None:
        async with self._frame.call("delete_bucket"):
            await super().delete_bucket(bucket)

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        async with self._frame.carry("put"):
            flow = Flow(source, self._frame.inward)
            return await super().put(bucket, key, flow, replacing=replacing)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        async with self._frame.call("get"):
            body = await super().get(bucket, key, locator, start=start, length=length)
        return self._frame.outward("get", body)

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        async with self._frame.call("head"):
            return await super().head(bucket, key, version)

    async def fetch(self, bucket: str, key: str) -> Fetched:
        async with self._frame.call("fetch"):
            stored, body = await super().fetch(bucket, key)
        return Fetched(stored, self._frame.outward("fetch", body))

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        async with self._frame.call("delete"):
            await super().delete(bucket, key, locator)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        async with self._frame.call("delete_many"):
            await super().delete_many(bucket, keys)

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
        async with self._frame.carry("copy"):
            return await super().copy(
                bucket, key, locator, to_bucket, to_key, facts, replacing=replacing
            )

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        """The time to the first entry counts as the listing's."""
        found = super().listing(bucket, prefix=prefix, after=after, most=most)
        try:
            async with self._frame.call("listing"):
                first = await anext(found, None)
            if first is not None:
                yield first
                async for stored in found:
                    yield stored
        finally:
            await found.aclose()

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        async with self._frame.call("create_upload"):
            return await super().create_upload(bucket, key, facts)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        async with self._frame.carry("put_part"):
            flow = Flow(source, self._frame.inward)
            return await super().put_part(bucket, key, upload, number, flow)

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
        async with self._frame.carry("complete_upload"):
            return await super().complete_upload(
                bucket, key, upload, parts, facts, replacing=replacing
            )

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        async with self._frame.call("abort_upload"):
            await super().abort_upload(bucket, key, upload)
