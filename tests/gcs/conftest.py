"""The GCS driver over a stub of its own, which a test can upset."""

from collections.abc import AsyncIterator

import pytest

from backends.model import Bucket
from backends.storage.gcs import GCSOptions, GCSStore
from tests.gcs.objects import BUCKET, CHUNK
from tests.stubs.gcs import Stub
from tests.stubs.running import Server


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    async with Server(stub.answer) as server:
        stub.url = server.url
        yield stub


@pytest.fixture
def options(stub: Stub) -> GCSOptions:
    return GCSOptions(project="test", endpoint=stub.url, anonymous=True, chunk_bytes=CHUNK)


@pytest.fixture
async def store(stub: Stub, options: GCSOptions) -> AsyncIterator[GCSStore]:
    """A store with a bucket; the stub's list of calls begins behind that."""
    opened = GCSStore(options)
    await opened.create_bucket(Bucket(BUCKET, "ann", 1))
    stub.calls.clear()
    yield opened
    await opened.close()
