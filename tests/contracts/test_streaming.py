"""A large body passes through the drivers of remote storages, and is never whole in memory."""

import hashlib
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from backends.model import Bucket, Facts, Version
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.gcs import GCSOptions, GCSStore
from backends.storage.protocol import ObjectStore, StoredPart
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY

MIB = 1024 * 1024
BLOCK = 4 * MIB
HELD = 6 * BLOCK  # a block being filled, one on its way, and what the client makes of it
FIRST = Facts(Version(1, "here"))


@dataclass
class Film:
    """Blocks that are made when they are asked for."""

    length: int
    size: int | None = None
    facts: Facts = FIRST
    digest: "hashlib._Hash" = field(default_factory=hashlib.md5)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(self.length // MIB):
            block = at.to_bytes(8, "big") * (MIB // 8)
            self.digest.update(block)
            yield block


async def streamed(store: ObjectStore, bucket: str, film: Film) -> int:
    """Put the film as one part, read it back; the most bytes that were held at once."""
    await store.create_bucket(Bucket(bucket, "ann", 1))
    upload = await store.create_upload(bucket, "film", FIRST)
    with traced() as peak:
        token = await store.put_part(bucket, "film", upload, 1, film)
        parts = [StoredPart(1, token, film.length)]
        stored = await store.complete_upload(bucket, "film", upload, parts, FIRST)
        digest = hashlib.md5()
        async for block in await store.get(bucket, "film", stored.locator):
            digest.update(block)
        assert digest.digest() == film.digest.digest()
        return peak()


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """The most bytes that Python has held since the block began."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(300)
async def test_a_part_of_256_mib_on_azure(azurite: Service) -> None:
    url = f"{azurite.url}/{AZURE_ACCOUNT}"
    store = AzureStore(AzureOptions(account_url=url, account_key=AZURE_KEY, block_bytes=BLOCK))

    assert await streamed(store, f"t{uuid.uuid4().hex}", Film(256 * MIB)) < HELD
    await store.close()


async def test_a_part_of_64_mib_on_gcs(fake_gcs: Service) -> None:
    """The emulator takes no more."""
    store = GCSStore(
        GCSOptions(project="test", endpoint=fake_gcs.url, anonymous=True, chunk_bytes=BLOCK)
    )

    assert await streamed(store, f"t{uuid.uuid4().hex}", Film(64 * MIB)) < HELD
    await store.close()
