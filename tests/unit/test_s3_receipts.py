"""How the S3 driver finds that an endpoint received other bytes than were sent."""

import base64
import hashlib
from collections.abc import AsyncIterator

import anycrc
import pytest
from msgspec.structs import replace

from backends.errors import Corrupt
from backends.model import Facts, Version
from backends.storage.s3 import S3Store
from backends.storage.source import BytesSource
from tests.contracts.sources import Blocks
from tests.unit.s3_endpoint import Answer, Endpoint, opened, serving

FIRST = Facts(Version(1, "here"))
DATA = bytes(range(250)) * 4000
ETAG = {"ETag": f'"{hashlib.md5(DATA).hexdigest()}"'}
CRC = "x-amz-checksum-crc64nvme"


def crc(data: bytes) -> dict[str, str]:
    value = anycrc.Model("CRC64-NVME").calc(data)
    return {CRC: base64.b64encode(value.to_bytes(8, "big")).decode()}


RIGHT = Answer(headers=ETAG | crc(DATA))
WRONG = Answer(headers=ETAG | crc(DATA[1:]))
SILENT = Answer(headers=ETAG)


def long_body(facts: Facts = FIRST) -> Blocks:
    return Blocks(DATA, 200_000, size=len(DATA), facts=facts)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


@pytest.fixture
async def store(endpoint: Endpoint) -> AsyncIterator[S3Store]:
    """A store whose endpoint told a CRC of a small object."""
    async with opened(endpoint.url) as found:
        assert found.capabilities.checks_up_to == 0
        endpoint.answers = [Answer(headers={"ETag": '"e"'} | crc(b"meow"))]
        await found.put("photos", "cat", BytesSource(b"meow", FIRST))
        endpoint.asked.clear()
        yield found


async def test_who_tells_a_crc_checks_bodies_up_to_a_part(store: S3Store) -> None:
    assert store.capabilities.checks_up_to == 64 * 1024 * 1024


async def test_who_tells_none_any_more_checks_none(endpoint: Endpoint, store: S3Store) -> None:
    facts = replace(FIRST, etag=hashlib.md5(b"meow").hexdigest())
    await store.put("photos", "cat", BytesSource(b"meow", facts))

    assert store.capabilities.checks_up_to == 0


@pytest.mark.parametrize("size", [200_000, len(DATA)])
async def test_the_crc_that_is_told_must_be_that_of_the_bytes(
    endpoint: Endpoint, store: S3Store, size: int
) -> None:
    source = Blocks(DATA[:size], 200_000, size=size, facts=FIRST)
    endpoint.answers = [Answer(headers=ETAG | crc(DATA[:size]))]
    assert (await store.put("photos", "cat", source)).size == size
    endpoint.asked.clear()

    endpoint.answers = [Answer(headers=ETAG | crc(b"other"))]
    with pytest.raises(Corrupt, match="not what was sent"):
        await store.put("photos", "cat", Blocks(DATA[:size], 200_000, size=size, facts=FIRST))

    assert endpoint.methods == ["PUT", "DELETE"]


async def test_a_crc_finds_what_an_etag_cannot(endpoint: Endpoint, store: S3Store) -> None:
    facts = replace(FIRST, etag=hashlib.md5(DATA).hexdigest())
    keyed = {"x-amz-server-side-encryption": "aws:kms", "ETag": f'"{"0" * 32}"'}
    endpoint.answers = [Answer(headers=keyed | crc(DATA))]
    await store.put("photos", "cat", long_body(facts))

    endpoint.answers = [Answer(headers=keyed | crc(DATA[1:]))]
    with pytest.raises(Corrupt):
        await store.put("photos", "cat", long_body(facts))


async def test_without_a_late_fact_there_is_nothing_to_tag(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [RIGHT]

    await store.put("photos", "cat", long_body())

    assert endpoint.methods == ["PUT"]


@pytest.mark.parametrize("there", [DATA, DATA[1:] + b"x"])
async def test_what_the_answer_does_not_tell_is_read_back(
    endpoint: Endpoint, store: S3Store, there: bytes
) -> None:
    endpoint.answers = [SILENT, Answer(headers=ETAG, pieces=[there])]

    if there == DATA:
        await store.put("photos", "cat", long_body())
    else:
        with pytest.raises(Corrupt):
            await store.put("photos", "cat", long_body())

    assert endpoint.methods[:2] == ["PUT", "GET"]
    assert endpoint.asked[1].headers["If-Match"] == ETAG["ETag"]
    assert ("DELETE" in endpoint.methods) == (there != DATA)


@pytest.mark.parametrize("status", [404, 412])
async def test_what_is_gone_already_was_written(
    endpoint: Endpoint, store: S3Store, status: int
) -> None:
    endpoint.answers = [SILENT, Answer(status)]

    assert (await store.put("photos", "cat", long_body())).size == len(DATA)
    assert endpoint.methods == ["PUT", "GET"]


async def test_an_etag_spares_the_reading_back(endpoint: Endpoint, store: S3Store) -> None:
    endpoint.answers = [SILENT]
    facts = replace(FIRST, etag=hashlib.md5(DATA).hexdigest())

    await store.put("photos", "cat", long_body(facts))

    assert "GET" not in endpoint.methods
