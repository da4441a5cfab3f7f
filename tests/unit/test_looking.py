"""A storage that must be looked at before its bytes are read."""

from collections.abc import AsyncGenerator

import pytest

from backends.errors import Corrupt, NotFound
from backends.model import Bucket, Facts, Version
from backends.storage.looking import fetch_after_head
from backends.storage.memory import MemoryStore
from backends.storage.source import BytesSource

FACTS = Facts(Version(1, "here"))


class Overwritten(MemoryStore):
    """Each look at the object is followed by what `writes` holds: other bytes, or None for none."""

    def __init__(self, *writes: bytes | None) -> None:
        super().__init__(keeps_replaced=False)
        self._writes = list(writes)

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        if self._writes:
            await self._change(bucket, key, self._writes.pop(0))
        return await super().get(bucket, key, locator, start=start, length=length)

    async def _change(self, bucket: str, key: str, data: bytes | None) -> None:
        if data is None:
            await self.delete(bucket, key)
        else:
            await self.put(bucket, key, BytesSource(data, FACTS))


class Hollow(MemoryStore):
    """Tells of objects and has no bytes of them."""

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        del locator, start, length
        raise NotFound(f"{bucket}/{key}")


async def filled(store: MemoryStore) -> MemoryStore:
    await store.create_bucket(Bucket("photos", "ann", 0))
    await store.put("photos", "cat", BytesSource(b"first", FACTS))
    return store


async def test_facts_and_bytes_are_of_the_same_object_when_it_is_replaced_in_between() -> None:
    store = await filled(Overwritten(b"a second", b"and a third"))

    stored, body = await fetch_after_head(store, "photos", "cat")

    data = b"".join([block async for block in body])
    assert (stored.size, data) == (len(data), b"and a third")


async def test_what_is_deleted_in_between_is_not_there() -> None:
    store = await filled(Overwritten(None))

    with pytest.raises(NotFound):
        await fetch_after_head(store, "photos", "cat")


async def test_bytes_that_nobody_replaced_and_that_are_not_there_are_lost() -> None:
    store = await filled(Hollow(keeps_replaced=False))

    with pytest.raises(Corrupt, match="photos/cat"):
        await fetch_after_head(store, "photos", "cat")
