"""Blobs that other tools of Azure make: other kinds of blobs, snapshots, markers of folders."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from azure.storage.blob import BlobType
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from backends.errors import NotFound
from backends.model import Bucket, Facts, Version
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.source import BytesSource
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY

MIB = 1024 * 1024
PAGE = 512
FIRST = Facts(Version(1, "here"))


@pytest.fixture
async def store(azurite: Service) -> AsyncIterator[AzureStore]:
    url = f"{azurite.url}/{AZURE_ACCOUNT}"
    opened = AzureStore(AzureOptions(account_url=url, account_key=AZURE_KEY, block_bytes=MIB))
    yield opened
    await opened.close()


@pytest.fixture
async def bucket(store: AzureStore) -> str:
    name = f"t{uuid4().hex}"
    await store.create_bucket(Bucket(name, "ann", 1))
    return name


@pytest.fixture
async def container(azurite: Service, bucket: str) -> AsyncIterator[ContainerClient]:
    url = f"{azurite.url}/{AZURE_ACCOUNT}"
    async with BlobServiceClient(url, credential=AZURE_KEY) as service:
        yield service.get_container_client(bucket)


async def get(store: AzureStore, bucket: str, key: str, locator: str = "", start: int = 0) -> bytes:
    return b"".join([block async for block in await store.get(bucket, key, locator, start=start)])


async def put(store: AzureStore, bucket: str, key: str, data: bytes) -> None:
    await store.put(bucket, key, BytesSource(data, FIRST))


@pytest.mark.parametrize("kind", [BlobType.PAGEBLOB, BlobType.APPENDBLOB])
async def test_other_kinds_of_blobs_are_objects(
    store: AzureStore, bucket: str, container: ContainerClient, kind: BlobType
) -> None:
    data = bytes(range(256)) * (4 * PAGE // 256)
    await container.upload_blob("cat", data, blob_type=kind, metadata={"Colour": "red"})

    [listed] = [stored async for stored in store.listing(bucket)]
    found = await store.head(bucket, "cat")

    assert listed == found
    assert (found.size, found.ours, found.facts.metadata) == (len(data), False, {"colour": "red"})
    assert found.facts.etag
    assert await get(store, bucket, "cat", found.locator) == data
    assert await get(store, bucket, "cat", start=300) == data[300:]
    copy = await store.copy(bucket, "cat", found.locator, bucket, "dog", FIRST)
    assert await get(store, bucket, "dog", copy.locator) == data
    await store.delete(bucket, "cat", found.locator)
    with pytest.raises(NotFound):
        await store.head(bucket, "cat")


@pytest.mark.parametrize("kind", [BlobType.PAGEBLOB, BlobType.APPENDBLOB])
@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_other_kinds_of_blobs_can_be_replaced(
    store: AzureStore, bucket: str, container: ContainerClient, kind: BlobType, size: int
) -> None:
    await container.upload_blob("cat", bytes(PAGE), blob_type=kind)

    await put(store, bucket, "cat", b"x" * size)

    assert await get(store, bucket, "cat") == b"x" * size
    assert [blob.name async for blob in container.list_blobs()] == ["cat"]


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_snapshots_neither_show_nor_hinder(
    store: AzureStore, bucket: str, container: ContainerClient, size: int
) -> None:
    await container.upload_blob("cat", b"old")
    await container.get_blob_client("cat").create_snapshot()

    await put(store, bucket, "cat", b"x" * size)

    assert [stored.size async for stored in store.listing(bucket)] == [size]
    await container.get_blob_client("cat").create_snapshot()
    await store.delete(bucket, "cat")
    assert [blob.name async for blob in container.list_blobs(include=["snapshots"])] == []


async def test_markers_of_folders_are_empty_objects(
    store: AzureStore, bucket: str, container: ContainerClient
) -> None:
    """As WASB, azcopy and accounts with a hierarchical namespace leave them."""
    await container.upload_blob("folder", b"", metadata={"hdi_isfolder": "true"})
    await container.upload_blob("folder/cat", b"meow")

    found = [stored async for stored in store.listing(bucket)]

    assert [(stored.key, stored.size) for stored in found] == [("folder", 0), ("folder/cat", 4)]
    assert found[0].facts.metadata == {"hdi_isfolder": "true"}
    assert await get(store, bucket, "folder") == b""


async def test_a_blob_that_has_not_been_committed_is_not_there(
    store: AzureStore, bucket: str, container: ContainerClient
) -> None:
    await container.get_blob_client("cat").stage_block("0001", b"meow")

    assert [stored async for stored in store.listing(bucket)] == []
    with pytest.raises(NotFound):
        await store.head(bucket, "cat")
    await put(store, bucket, "cat", b"purr")
    assert await get(store, bucket, "cat") == b"purr"
