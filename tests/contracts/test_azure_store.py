"""What the Azure driver promises beyond every storage's contract, shown on Azure's emulator."""

import asyncio
import gzip
import os
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    ContentSettings,
    ResourceTypes,
    generate_account_sas,
)
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from backends.errors import (
    AccessDenied,
    BackendError,
    BucketNotFound,
    Busy,
    Corrupt,
    InvalidName,
    InvalidPart,
    NotEmpty,
    NotFound,
    PreconditionFailed,
    Refused,
    Unavailable,
)
from backends.model import Bucket, Facts, Version
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.protocol import Stored, StoredPart
from backends.storage.reserved import RESERVED
from backends.storage.source import BytesSource
from tests.services.process import Service, free_port
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY

MIB = 1024 * 1024
FIRST = Facts(Version(1, "here"))
NOT_NAMES = ["My.Bucket", "x", "a--b"]


@pytest.fixture
def options(azurite: Service) -> AzureOptions:
    url = f"{azurite.url}/{AZURE_ACCOUNT}"
    return AzureOptions(account_url=url, account_key=AZURE_KEY, block_bytes=MIB)


@pytest.fixture
async def store(options: AzureOptions) -> AsyncIterator[AzureStore]:
    opened = AzureStore(options)
    yield opened
    await opened.close()


@pytest.fixture
async def bucket(store: AzureStore) -> str:
    name = f"t{uuid.uuid4().hex}"
    await store.create_bucket(Bucket(name, "ann", 1))
    return name


@pytest.fixture
async def container(options: AzureOptions, bucket: str) -> AsyncIterator[ContainerClient]:
    """The bucket as another tool sees it."""
    async with BlobServiceClient(options.account_url, credential=AZURE_KEY) as service:
        yield service.get_container_client(bucket)


@dataclass
class Halting:
    """Two blocks, of which the second waits until it is let go."""

    started: asyncio.Event
    go: asyncio.Event
    size: int | None = None
    facts: Facts = FIRST

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield bytes(3 * MIB)
        self.started.set()
        await self.go.wait()
        yield b"end"


async def put(
    store: AzureStore, bucket: str, key: str, data: bytes = b"", facts: Facts = FIRST
) -> Stored:
    return await store.put(bucket, key, BytesSource(data, facts))


async def get(store: AzureStore, bucket: str, key: str, locator: str = "", start: int = 0) -> bytes:
    return b"".join([block async for block in await store.get(bucket, key, locator, start=start)])


async def keys(
    store: AzureStore, bucket: str, prefix: str = "", after: str = "", most: int | None = None
) -> list[str]:
    found = store.listing(bucket, prefix=prefix, after=after, most=most)
    return [stored.key async for stored in found]


async def upload(store: AzureStore, bucket: str, *bodies: bytes) -> tuple[str, list[StoredPart]]:
    token = await store.create_upload(bucket, "cat", FIRST)
    parts = []
    for number, body in enumerate(bodies, start=1):
        part = await store.put_part(bucket, "cat", token, number, BytesSource(body, FIRST))
        parts.append(StoredPart(number, part, len(body)))
    return token, parts


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"meow" * 99), b"plain", bytes(9 * MIB)],
    ids=["gzip", "not gzip", "large"],
)
async def test_encoded_bytes_are_not_decoded_on_their_way(
    store: AzureStore, bucket: str, data: bytes
) -> None:
    facts = Facts(Version(1, "here"), headers={"content-encoding": "gzip"})
    stored = await put(store, bucket, "cat.gz", data, facts)

    assert await get(store, bucket, "cat.gz", stored.locator) == data
    assert await get(store, bucket, "cat.gz", start=3) == data[3:]


@pytest.mark.parametrize("size", [0, 10])
@pytest.mark.parametrize("start", [10, 11, 1000])
async def test_there_are_no_bytes_behind_the_end(
    store: AzureStore, bucket: str, size: int, start: int
) -> None:
    stored = await put(store, bucket, "InvalidRange", bytes(size))

    assert await get(store, bucket, "InvalidRange", stored.locator, start) == b""
    with pytest.raises(NotFound):
        await get(store, bucket, "InvalidRange", "0x0", start)


async def test_a_bucket_is_not_empty_whatever_lies_before_its_objects(
    store: AzureStore, bucket: str
) -> None:
    await put(store, bucket, f"{RESERVED}parts/left")
    await put(store, bucket, "zebra", b"meow")

    with pytest.raises(NotEmpty):
        await store.delete_bucket(bucket)

    assert await get(store, bucket, "zebra") == b"meow"
    await store.delete(bucket, "zebra")
    await store.delete_bucket(bucket)
    with pytest.raises(BucketNotFound):
        await store.find_bucket(bucket)


async def test_writers_of_one_key_do_not_drop_each_others_blocks(
    store: AzureStore, bucket: str
) -> None:
    halting = Halting(asyncio.Event(), asyncio.Event())
    slow = asyncio.create_task(store.put(bucket, "cat", halting))
    await halting.started.wait()
    token, parts = await upload(store, bucket, b"part")

    await put(store, bucket, "cat", b"small")
    await put(store, bucket, "cat", bytes(2 * MIB))
    halting.go.set()
    await slow
    await store.complete_upload(bucket, "cat", token, parts, FIRST)

    assert await get(store, bucket, "cat") == b"part"


async def test_two_uploads_of_one_key_end_one_after_the_other(
    store: AzureStore, bucket: str
) -> None:
    first, second = await upload(store, bucket, b"first"), await upload(store, bucket, b"second")

    for token, parts in (second, first):
        await store.complete_upload(bucket, "cat", token, parts, FIRST)
        with pytest.raises(InvalidPart):
            await store.complete_upload(bucket, "cat", token, parts, FIRST)

    assert await get(store, bucket, "cat") == b"first"


async def test_parts_of_many_blocks_in_any_order(store: AzureStore, bucket: str) -> None:
    bodies = {number: os.urandom(2 * MIB + number) for number in (10_000, 2, 7)}
    token = await store.create_upload(bucket, "cat", FIRST)
    parts = []
    for number, body in bodies.items():
        part = await store.put_part(bucket, "cat", token, number, BytesSource(body, FIRST))
        parts.append(StoredPart(number, part, len(body)))

    parts.sort(key=lambda part: part.number)
    await store.complete_upload(bucket, "cat", token, parts, FIRST)

    assert await get(store, bucket, "cat") == bodies[2] + bodies[7] + bodies[10_000]


@pytest.mark.parametrize("token", ["0" * 16 + "-1", "0" * 16 + "-\xb2", "-1", "nonsense"])
async def test_a_part_that_nobody_put_is_refused(
    store: AzureStore, bucket: str, token: str
) -> None:
    upload = await store.create_upload(bucket, "cat", FIRST)

    with pytest.raises(InvalidPart):
        await store.complete_upload(bucket, "cat", upload, [StoredPart(1, token, 1)], FIRST)


async def test_more_blocks_than_azure_joins_are_refused(store: AzureStore, bucket: str) -> None:
    upload = await store.create_upload(bucket, "cat", FIRST)
    part = StoredPart(1, "0" * 16 + "-50001", 1)

    with pytest.raises(Refused, match="block_bytes"):
        await store.complete_upload(bucket, "cat", upload, [part], FIRST)


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_a_write_leaves_nothing_but_its_object(
    store: AzureStore, bucket: str, container: ContainerClient, size: int
) -> None:
    stored = await put(store, bucket, "cat", bytes(size))
    token, parts = await upload(store, bucket, b"part")
    await store.complete_upload(bucket, "cat", token, parts, FIRST)
    with pytest.raises(PreconditionFailed):
        await store.put(bucket, "cat", BytesSource(bytes(size), FIRST), replacing=stored.locator)

    assert [blob.name async for blob in container.list_blobs()] == ["cat"]


async def test_keys_are_listed_as_s3_orders_them(store: AzureStore, bucket: str) -> None:
    names = ["a", "z", "\ue000", "\uff21", "\uff21/\U0001f600", "\uff21/\uff21", "\U0001f600"]
    names.sort(key=str.encode)
    for name in reversed(names):
        await put(store, bucket, name)

    assert await keys(store, bucket) == names
    paged: list[str] = []
    while page := await keys(store, bucket, after=paged[-1] if paged else "", most=2):
        paged += page
    assert paged == names


@pytest.mark.parametrize("prefix", ["report.", ".", "..", "50%", "a\\", "x/.", "%%00"])
async def test_any_prefix_finds_its_keys(store: AzureStore, bucket: str, prefix: str) -> None:
    names = {prefix, f"{prefix}csv", f"{prefix}/b", f"{prefix}2E"}
    for name in [*names, "other"]:
        await put(store, bucket, name)

    assert set(await keys(store, bucket, prefix)) == names


async def test_a_listing_of_nothing_is_empty(store: AzureStore, bucket: str) -> None:
    await put(store, bucket, "cat")

    assert await keys(store, bucket, most=0) == []


@pytest.mark.parametrize("name", NOT_NAMES)
async def test_what_cannot_be_a_container_is_no_bucket(store: AzureStore, name: str) -> None:
    with pytest.raises(InvalidName):
        await store.create_bucket(Bucket(name, "ann", 1))
    with pytest.raises(BucketNotFound):
        await store.find_bucket(name)
    with pytest.raises(BucketNotFound):
        await store.get(name, "cat")
    with pytest.raises(BucketNotFound):
        await put(store, name, "cat")
    with pytest.raises(BucketNotFound):
        await keys(store, name)
    await store.delete(name, "cat")


async def test_another_tool_sees_the_key_the_headers_and_the_metadata(
    store: AzureStore, bucket: str, container: ContainerClient
) -> None:
    facts = Facts(
        Version(1, "here"),
        etag="d41d8cd98f00b204e9800998ecf8427e",
        headers={"content-type": "text/css"},
        metadata={"colour": "red"},
    )
    await put(store, bucket, "a b/gr\xfcn.css", facts=facts)

    blob = container.get_blob_client("a b/gr\xfcn.css")
    properties = await blob.get_blob_properties()

    assert properties.content_settings.content_type == "text/css"
    assert bytes(properties.content_settings.content_md5 or b"").hex() == facts.etag
    assert properties.metadata["colour"] == "red"


@pytest.mark.parametrize("name", ["cat", "a%5Cb%2520c", "50%", "a//b", "gr\xfcn"])
async def test_a_blob_of_another_tool_is_an_object(
    store: AzureStore, bucket: str, container: ContainerClient, name: str
) -> None:
    settings = ContentSettings(content_type="text/css")
    metadata = {"Colour": "red", "empty": ""}
    await container.upload_blob(name, b"meow", content_settings=settings, metadata=metadata)

    [listed] = [stored async for stored in store.listing(bucket)]
    found = await store.head(bucket, name)

    assert listed == found
    assert (found.key, found.size, found.ours) == (name, 4, False)
    assert found.facts.headers == {"content-type": "text/css"}
    assert found.facts.metadata == {"colour": "red", "empty": ""}
    assert abs(found.facts.modified / 1000 - datetime.now(UTC).timestamp()) < 60
    assert await get(store, bucket, name, found.locator) == b"meow"
    await store.delete(bucket, name)
    assert await keys(store, bucket) == []


async def test_a_blob_that_another_tool_holds_is_busy(
    store: AzureStore, bucket: str, container: ContainerClient
) -> None:
    await put(store, bucket, "cat", b"meow")
    lease = await container.get_blob_client("cat").acquire_lease()

    with pytest.raises(Busy):
        await store.delete(bucket, "cat")
    with pytest.raises(Busy):
        await store.delete_many(bucket, ["cat", "dog"])
    with pytest.raises(Busy):
        await put(store, bucket, "cat", b"new")

    await lease.release()
    assert await get(store, bucket, "cat") == b"meow"


@pytest.mark.parametrize("key", ["a b/gr\xfcn?#&%20", "..", "a\\b\x00", "\U0001f600/", "+"])
async def test_any_key_can_be_copied(store: AzureStore, bucket: str, key: str) -> None:
    source = await put(store, bucket, key, b"meow")

    await store.copy(bucket, key, source.locator, bucket, f"copy of {key}", FIRST)

    assert await get(store, bucket, f"copy of {key}") == b"meow"


@pytest.mark.parametrize("old", [{}, {"content-type": "text/css", "cache-control": "no-cache"}])
@pytest.mark.parametrize("new", [{}, {"content-type": "text/html", "expires": "never"}])
async def test_a_copy_has_its_own_facts_and_locator(
    store: AzureStore, bucket: str, old: dict[str, str], new: dict[str, str]
) -> None:
    source = await put(store, bucket, "cat", b"meow", Facts(Version(1, "here"), headers=old))
    facts = Facts(Version(2, "here"), size=4, etag="a" * 32, headers=new, metadata={"a-b": "c"})

    copy = await store.copy(bucket, "cat", source.locator, bucket, "dog", facts)

    found = await store.head(bucket, "dog")
    assert copy == Stored("dog", 4, found.locator, facts)
    assert found.facts == facts


async def test_what_was_replaced_is_not_copied(store: AzureStore, bucket: str) -> None:
    old = await put(store, bucket, "cat", b"old")
    await put(store, bucket, "cat", b"new")

    for replacing in (None, ""):
        with pytest.raises(NotFound):
            await store.copy(bucket, "cat", old.locator, bucket, "dog", FIRST, replacing=replacing)

    assert await keys(store, bucket) == ["cat"]


async def test_bytes_that_are_not_those_of_their_digest_are_not_kept(
    store: AzureStore, bucket: str
) -> None:
    with pytest.raises((Corrupt, Refused)):  # the emulator answers with another code than Azure
        await put(store, bucket, "cat", b"meow", Facts(Version(1, "here"), etag="0" * 32))

    assert await keys(store, bucket) == []


async def test_a_connection_string_opens_the_account(options: AzureOptions, bucket: str) -> None:
    text = (
        f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};"
        f"BlobEndpoint={options.account_url};"
    )
    store = AzureStore(AzureOptions(connection_string=text))

    assert (await store.find_bucket(bucket)).owner == "ann"
    await store.close()


async def test_a_sas_token_opens_the_account(options: AzureOptions, bucket: str) -> None:
    token = generate_account_sas(
        AZURE_ACCOUNT,
        AZURE_KEY,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    store = AzureStore(replace(options, account_key="", sas_token=token))

    await store.ping()
    stored = await put(store, bucket, "cat", bytes(3 * MIB))
    copy = await store.copy(bucket, "cat", stored.locator, bucket, "dog", FIRST)

    assert await get(store, bucket, "dog", copy.locator) == bytes(3 * MIB)
    await store.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"account_key": "AAAA"},
        {"account_key": "", "sas_token": "sv=2024-01-01&sig=nonsense"},
        {"account_url": "http://storage.example"},
        {"connection_string": "nonsense"},
    ],
)
async def test_wrong_credentials_are_denied(options: AzureOptions, wrong: dict[str, Any]) -> None:
    store = AzureStore(replace(options, **wrong))

    with pytest.raises(AccessDenied):
        await store.ping()
    with pytest.raises(AccessDenied):
        await put(store, "photos", "cat", bytes(3 * MIB))
    await store.close()


async def test_the_default_chain_needs_an_extra(
    options: AzureOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    store = AzureStore(replace(options, account_key=""))

    with pytest.raises(AccessDenied, match="azure-identity"):
        await store.ping()
    await store.close()


async def test_an_account_that_is_down_is_unavailable(options: AzureOptions) -> None:
    url = f"http://127.0.0.1:{free_port()}/{AZURE_ACCOUNT}"
    store = AzureStore(replace(options, account_url=url))

    for call in (store.ping(), store.head("photos", "cat"), put(store, "photos", "cat", b"meow")):
        with pytest.raises(Unavailable) as raised:
            await call
        assert isinstance(raised.value, BackendError)
    await store.close()
