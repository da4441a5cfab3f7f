"""Objects that other programs wrote are listed, looked at and read by each remote driver."""

import hashlib
from collections.abc import AsyncIterator

import boto3
import google.auth.credentials
import pytest
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobServiceClient
from google.cloud.storage import Client

from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.gcs import GCSOptions, GCSStore
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.s3 import S3Options, S3Store
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY, REGION, S3_ACCESS, S3_SECRET

DATA = b"written by another program"
MD5 = hashlib.md5(DATA).hexdigest()
BUCKET = "foreign-objects"
KEY = "a folder/caf\xe9.txt"


async def read(store: ObjectStore, found: Stored) -> bytes:
    body = await store.get(BUCKET, found.key, found.locator)
    return b"".join([block async for block in body])


async def judge(store: ObjectStore) -> None:
    """What every driver must tell of the foreign object."""
    found = await store.head(BUCKET, KEY)
    [listed] = [one async for one in store.listing(BUCKET)]

    assert not found.ours
    assert (found.size, found.facts.size, found.facts.etag) == (len(DATA), len(DATA), MD5)
    assert found.facts.headers["content-type"] == "text/plain"
    assert found.facts.metadata == {"colour": "green"}
    assert found.facts.modified > 0
    assert (listed.key, listed.size, listed.locator) == (KEY, len(DATA), found.locator)
    assert listed.facts.etag == MD5
    assert await read(store, found) == DATA
    fetched = await store.fetch(BUCKET, KEY)
    assert fetched.stored == found
    assert b"".join([block async for block in fetched.body]) == DATA


@pytest.fixture
async def emptied() -> AsyncIterator[list[ObjectStore]]:
    """Stores whose bucket goes when the test is over."""
    stores: list[ObjectStore] = []
    yield stores
    for store in stores:
        await store.delete(BUCKET, KEY)
        await store.delete_bucket(BUCKET)
        await store.close()


async def test_on_s3(versitygw: Service, emptied: list[ObjectStore]) -> None:
    other = boto3.client(
        "s3",
        endpoint_url=versitygw.url,
        region_name=REGION,
        aws_access_key_id=S3_ACCESS,
        aws_secret_access_key=S3_SECRET,
    )
    other.create_bucket(Bucket=BUCKET)
    other.put_object(
        Bucket=BUCKET, Key=KEY, Body=DATA, ContentType="text/plain", Metadata={"colour": "green"}
    )
    other.close()
    store = S3Store(S3Options(versitygw.url, access_key=S3_ACCESS, secret_key=S3_SECRET))
    emptied.append(store)

    await judge(store)
    assert (await store.find_bucket(BUCKET)).owner == ""


async def test_on_azure(azurite: Service, emptied: list[ObjectStore]) -> None:
    url = f"{azurite.url}/{AZURE_ACCOUNT}"
    async with BlobServiceClient(url, credential=AZURE_KEY) as other:
        container = await other.create_container(BUCKET)
        blob = container.get_blob_client(KEY)
        await blob.upload_blob(
            DATA,
            metadata={"colour": "green"},
            content_settings=ContentSettings(
                content_type="text/plain", content_md5=bytearray.fromhex(MD5)
            ),
        )
    store = AzureStore(AzureOptions(account_url=url, account_key=AZURE_KEY))
    emptied.append(store)

    await judge(store)
    assert (await store.find_bucket(BUCKET)).owner == ""


async def test_on_gcs(fake_gcs: Service, emptied: list[ObjectStore]) -> None:
    credentials = google.auth.credentials.AnonymousCredentials()
    options = {"api_endpoint": fake_gcs.url}
    other = Client(project="test", credentials=credentials, client_options=options)
    blob = other.create_bucket(BUCKET).blob(KEY)
    blob.metadata = {"colour": "green"}
    blob.upload_from_string(DATA, content_type="text/plain")
    other.close()
    store = GCSStore(GCSOptions(project="test", endpoint=fake_gcs.url, anonymous=True))
    emptied.append(store)

    await judge(store)
    assert (await store.find_bucket(BUCKET)).owner == ""
