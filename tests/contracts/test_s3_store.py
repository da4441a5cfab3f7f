"""What the S3 driver promises beyond every storage's contract, shown on real servers."""

import asyncio
import hashlib
import os
import socket
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from backends.errors import (
    AccessDenied,
    Corrupt,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from backends.model import Bucket, Facts, Version
from backends.storage.protocol import Stored
from backends.storage.s3 import S3Options, S3Store
from backends.storage.source import BytesSource
from tests.contracts.sources import Blocks
from tests.services import servers
from tests.services.process import Service, free_port
from tests.services.servers import REGION, S3_ACCESS, S3_SECRET

MIB = 1024 * 1024
BLOCK = MIB // 4
FIRST = Facts(Version(1, "here"))
ODD = [
    "<a>&\"'",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "tab\t",
    "\x01\x1f",
    "gr\xfcn \U0001f600",
    "a+b c%20",
    "\x7f",
]


@pytest.fixture
def options(versitygw: Service) -> S3Options:
    return S3Options(versitygw.url, access_key=S3_ACCESS, secret_key=S3_SECRET, part_bytes=6 * MIB)


@pytest.fixture
async def store(options: S3Options) -> AsyncIterator[S3Store]:
    opened = S3Store(options)
    yield opened
    await opened.close()


@pytest.fixture
async def bucket(store: S3Store) -> str:
    name = f"t{uuid.uuid4().hex}"
    await store.create_bucket(Bucket(name, "ann", 1))
    return name


@pytest.fixture
def other(options: S3Options) -> Iterator[S3Client]:
    """Another tool at the same server."""
    client = boto3.client(
        "s3",
        endpoint_url=options.endpoint,
        region_name=REGION,
        aws_access_key_id=S3_ACCESS,
        aws_secret_access_key=S3_SECRET,
    )
    yield client
    client.close()


async def put(store: S3Store, bucket: str, key: str, data: bytes = b"") -> Stored:
    return await store.put(bucket, key, BytesSource(data, FIRST))


async def get(store: S3Store, bucket: str, key: str, locator: str = "", **span: Any) -> bytes:
    body = await store.get(bucket, key, locator, **span)
    return b"".join([block async for block in body])


async def keys(store: S3Store, bucket: str, **asked: Any) -> list[str]:
    return [stored.key async for stored in store.listing(bucket, **asked)]


def no_uploads(other: S3Client, bucket: str) -> bool:
    return not other.list_multipart_uploads(Bucket=bucket).get("Uploads")


class Endless:
    """Many blocks of one piece of memory; how much they traced is known at the end."""

    def __init__(self, size: int, *, known: bool) -> None:
        self.size = size if known else None
        self.facts = FIRST
        self._blocks = size // BLOCK
        self._block = os.urandom(BLOCK)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number in range(self._blocks):
            if number == self._blocks // 4:
                tracemalloc.reset_peak()
            yield self._block


@pytest.mark.parametrize(
    ("known", "at_once", "most"), [(True, 1, 2), (False, 1, 12), (False, 3, 23)]
)
async def test_a_long_body_takes_no_more_memory_than_its_window(
    options: S3Options, bucket: str, other: S3Client, known: bool, at_once: int, most: int
) -> None:
    """Parts of 5 MiB, and one that what has just sent it has not let go of yet."""
    store = S3Store(replace(options, parts_at_once=at_once))
    await store.ping()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        stored = await store.put(bucket, "cat", Endless(100 * MIB, known=known))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await store.close()

    assert stored.size == 100 * MIB
    assert other.head_object(Bucket=bucket, Key="cat")["ContentLength"] == 100 * MIB
    assert (peak - before) / MIB < most


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [300_000, 13 * MIB])
async def test_a_body_that_fails_leaves_no_upload(
    store: S3Store, bucket: str, other: S3Client, known: bool, size: int
) -> None:
    source = Blocks(bytes(size), BLOCK, ZeroDivisionError(), size=size + 9 if known else None)

    with pytest.raises(ZeroDivisionError):
        await store.put(bucket, "cat", source)

    assert no_uploads(other, bucket)
    assert await keys(store, bucket) == []


async def test_a_body_that_breaks_off_is_never_taken_for_whole(store: S3Store, bucket: str) -> None:
    """The server keeps what came, where its connection is closed like any other."""
    await put(store, bucket, "cat", b"old")

    for _ in range(10):
        source = Blocks(bytes(300_000), BLOCK, ZeroDivisionError(), size=300_001)
        with pytest.raises(ZeroDivisionError):
            await store.put(bucket, "cat", source)

    assert await get(store, bucket, "cat") == b"old"


@pytest.mark.parametrize("known", [True, False])
async def test_a_body_that_is_given_up_leaves_no_upload(
    store: S3Store, bucket: str, other: S3Client, known: bool
) -> None:
    stalls = asyncio.Event()
    size = 13 * MIB
    source = Blocks(bytes(size), BLOCK, stalls=stalls, size=size + 9 if known else None)
    running = asyncio.create_task(store.put(bucket, "cat", source))
    await stalls.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert no_uploads(other, bucket)


async def test_a_storage_that_refuses_a_part_ends_the_upload(
    store: S3Store, bucket: str, other: S3Client
) -> None:
    source = Blocks(bytes(13 * MIB), BLOCK, size=13 * MIB)

    with pytest.raises(PreconditionFailed):
        await store.put(bucket, "cat", source, replacing="0" * 32)

    assert no_uploads(other, bucket)
    assert await keys(store, bucket) == []


@pytest.mark.parametrize("size", [4, 300_000])
async def test_bytes_that_are_not_those_of_their_digest_are_not_kept(
    store: S3Store, bucket: str, size: int
) -> None:
    wrong = Facts(Version(1, "here"), size, "0" * 32)
    data = os.urandom(size)
    source = BytesSource(data, wrong) if size == 4 else Blocks(data, BLOCK, size=size, facts=wrong)

    with pytest.raises(Corrupt):
        await store.put(bucket, "cat", source)

    assert await keys(store, bucket) == []


async def test_credentials_that_are_wrong_are_denied_for_a_stream_too(
    options: S3Options, bucket: str
) -> None:
    store = S3Store(replace(options, secret_key="wrong"))
    source = Blocks(bytes(3 * MIB), BLOCK, size=3 * MIB)

    with pytest.raises(AccessDenied, match="check secret_key"):
        await put(store, bucket, "cat")
    with suppress(Unavailable), pytest.raises(AccessDenied):
        await store.put(bucket, "cat", source)
    await store.close()


async def test_another_region_is_named(options: S3Options, bucket: str) -> None:
    store = S3Store(replace(options, region="eu-far-1"))

    for call in (get(store, bucket, "cat"), put(store, bucket, "cat")):
        with pytest.raises(AccessDenied, match="set region to us-east-1"):
            await call
    await store.close()


@pytest.mark.parametrize("size", [0, 10, 300_000])
@pytest.mark.parametrize("start", [0, 9, 10, 400_000])
@pytest.mark.parametrize("length", [0, 1, 5, None])
async def test_ranges_at_the_edges(
    store: S3Store, bucket: str, size: int, start: int, length: int | None
) -> None:
    data = os.urandom(size)
    stored = await put(store, bucket, "cat", data)

    expected = data[start:] if length is None else data[start : start + length]
    assert await get(store, bucket, "cat", stored.locator, start=start, length=length) == expected
    for stale in ("0" * 32, "nonsense"):
        with pytest.raises(NotFound):
            await get(store, bucket, "cat", stale, start=start, length=length)


@pytest.mark.parametrize("size", [4, 11 * MIB])
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_copy_is_the_same_in_one_piece_and_in_parts(
    options: S3Options, store: S3Store, bucket: str, size: int, elsewhere: bool
) -> None:
    to = f"t{uuid.uuid4().hex}" if elsewhere else bucket
    await store.create_bucket(Bucket(to, "ann", 1))
    data = os.urandom(size)
    old = Facts(Version(1, "here"), size, headers={"content-type": "a/b"}, metadata={"old": "x"})
    new = Facts(Version(2, "here"), size, hashlib.md5(data).hexdigest(), metadata={"new": "y"})
    source = await store.put(bucket, "a +?&%/\xe9", Blocks(data, BLOCK, size=size, facts=old))
    copying = S3Store(replace(options, copy_bytes=5 * MIB))

    copy = await copying.copy(bucket, "a +?&%/\xe9", source.locator, to, "dog", new, replacing="")

    found = await store.head(to, "dog")
    assert (found.locator, found.facts.metadata) == (copy.locator, {"new": "y"})
    assert found.facts.version == new.version
    assert ("-" in copy.locator) == (size > 5 * MIB)
    assert await get(store, to, "dog", copy.locator) == data
    with pytest.raises(PreconditionFailed):
        await copying.copy(bucket, "a +?&%/\xe9", source.locator, to, "dog", new, replacing="")
    await copying.close()


@pytest.mark.parametrize("size", [4, 11 * MIB])
@pytest.mark.parametrize("replacing", [None, ""])
async def test_what_was_replaced_is_not_copied(
    options: S3Options, bucket: str, other: S3Client, size: int, replacing: str | None
) -> None:
    store = S3Store(replace(options, copy_bytes=5 * MIB))
    facts = Facts(Version(1, "here"), size)
    old = await store.put(bucket, "cat", Blocks(os.urandom(size), BLOCK, size=size, facts=facts))
    await put(store, bucket, "cat", b"new")

    with pytest.raises(NotFound):
        await store.copy(bucket, "cat", old.locator, bucket, "dog", facts, replacing=replacing)

    assert await keys(store, bucket) == ["cat"]
    assert no_uploads(other, bucket)
    await store.close()


async def test_a_thousand_deletes_of_odd_keys(store: S3Store, bucket: str) -> None:
    names = ODD + [f"{number:04}-{ODD[number % len(ODD)]}" for number in range(1000 - len(ODD))]
    for at in range(0, len(names), 50):
        await asyncio.gather(*(put(store, bucket, name) for name in names[at : at + 50]))
    await put(store, bucket, "kept")
    assert len(await keys(store, bucket)) == 1001

    await store.delete_many(bucket, names)

    assert await keys(store, bucket) == ["kept"]
    await store.delete_many(bucket, names)


@pytest.mark.parametrize("replacing", ["new", "old"])
async def test_of_writers_at_once_on_a_condition_one_wins(
    store: S3Store, bucket: str, replacing: str
) -> None:
    locator = (await put(store, bucket, "cat", b"old")).locator if replacing == "old" else ""
    bodies = [b"writer %d" % number for number in range(12)]

    async def write(body: bytes) -> bytes:
        with suppress(PreconditionFailed):
            await store.put(bucket, "cat", BytesSource(body, FIRST), replacing=locator)
            return body
        return b""

    won = [body for body in await asyncio.gather(*map(write, bodies)) if body]

    assert won == [await get(store, bucket, "cat")]


async def test_a_listing_over_pages_and_any_start(store: S3Store, bucket: str) -> None:
    names = [
        f"{folder}/{number:04}" for folder in ("a b", "p+q%", "z\xe9") for number in range(834)
    ]
    for at in range(0, len(names), 60):
        await asyncio.gather(*(put(store, bucket, name) for name in names[at : at + 60]))

    middle = names[834:1668]
    assert await keys(store, bucket) == names
    assert await keys(store, bucket, prefix="p+q%/") == middle
    assert await keys(store, bucket, prefix="p+q%/", after="p+q%/0500") == middle[501:]
    assert await keys(store, bucket, prefix="p+q%/", after="a b/0001") == middle
    assert await keys(store, bucket, prefix="p+q%/", after="q") == []
    assert await keys(store, bucket, after="a b/0700") == names[701:]
    assert await keys(store, bucket, after="a b/0700", most=1500) == names[701:2201]


async def test_a_bucket_in_the_name_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = "storage.test"
    known = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        local = isinstance(host, str) and host.endswith(domain)
        return known("127.0.0.1" if local else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    service = servers.versitygw(tmp_path / "server", domain=domain)
    service.start()
    url = f"http://{domain}:{service.port}"
    store = S3Store(S3Options(url, access_key=S3_ACCESS, secret_key=S3_SECRET, virtual_host=True))
    try:
        for bucket in ("photos", "my.photos"):
            await store.create_bucket(Bucket(bucket, "ann", 1))
            stored = await store.put(bucket, "a b/\xe9", Blocks(bytes(MIB), BLOCK))
            await store.copy(bucket, "a b/\xe9", stored.locator, bucket, "dog", FIRST)
            assert await keys(store, bucket) == ["a b/\xe9", "dog"]
            assert (await store.find_bucket(bucket)).owner == "ann"
            await store.delete_many(bucket, ["a b/\xe9", "dog"])
            await store.delete_bucket(bucket)
    finally:
        await store.close()
        service.kill()


async def test_a_storage_that_is_down_is_unavailable(options: S3Options) -> None:
    store = S3Store(replace(options, endpoint=f"http://127.0.0.1:{free_port()}"))

    for call in (store.ping(), store.head("photos", "cat"), store.find_bucket("photos")):
        with pytest.raises(Unavailable):
            await call
    await store.close()
