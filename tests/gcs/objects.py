"""Bodies for the GCS driver, and what it made of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from backends.model import Facts, Version
from backends.storage.gcs import GCSStore
from backends.storage.protocol import Stored, StoredPart
from backends.storage.reserved import RESERVED
from backends.storage.source import BytesSource
from tests.stubs.gcs import Stub

BUCKET = "photos"
UNIT = 256 * 1024
CHUNK = 2 * UNIT
FIRST = Facts(Version(1, "here"))


@dataclass
class Blocks:
    """A body of unknown length, in blocks that do not fit the chunks, and how it ends."""

    data: bytes
    facts: Facts = FIRST
    ending: Callable[[], Awaitable[bytes]] | None = None
    size: int | None = field(default=None, init=False)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), 100_000):
            yield self.data[at : at + 100_000]
        if self.ending:
            yield await self.ending()


def body_of(size: int) -> bytes:
    """Bytes that are other ones wherever one looks."""
    return b"".join(b"%07d " % at for at in range(size // 8 + 1))[:size]


async def put(store: GCSStore, key: str, data: bytes, replacing: str | None = None) -> Stored:
    return await store.put(BUCKET, key, Blocks(data), replacing=replacing)


async def get(store: GCSStore, key: str, locator: str = "", start: int = 0) -> bytes:
    body = await store.get(BUCKET, key, locator, start=start)
    return b"".join([block async for block in body])


async def upload(store: GCSStore, bodies: Sequence[bytes]) -> tuple[str, list[StoredPart]]:
    """An upload with these parts."""
    token = await store.create_upload(BUCKET, "cat", FIRST)
    parts = []
    for number, body in enumerate(bodies, start=1):
        part = await store.put_part(BUCKET, "cat", token, number, BytesSource(body, FIRST))
        parts.append(StoredPart(number, part, len(body)))
    return token, parts


def names(stub: Stub) -> list[str]:
    """All objects in the bucket but the record of its owner."""
    return sorted(name for name in stub.buckets[BUCKET].items if name != f"{RESERVED}bucket")
