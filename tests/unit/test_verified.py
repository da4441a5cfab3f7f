"""Bodies on their way out: the last block goes only where the whole is right."""

from collections.abc import AsyncGenerator
from hashlib import md5

import pytest

from backends.errors import Corrupt
from backends.model import Checksum, ChecksumType, Facts, Version
from s3proxy.s3.algorithms import ALGORITHMS, encode
from s3proxy.s3.verified import Checks, verified

DATA = bytes(range(256)) * 1024
WRONG = DATA[:-1] + b"?"
BOTH = Checks(checksums=True, md5_up_to=len(DATA))
ETAG = md5(DATA).hexdigest()


def facts(etag: str = "", checksum: Checksum | None = None, size: int = len(DATA)) -> Facts:
    return Facts(Version(1, "here"), size, etag, checksum=checksum)


def crc(data: bytes, kind: ChecksumType = ChecksumType.FULL_OBJECT) -> Checksum:
    digest = ALGORITHMS["CRC32C"].start()
    digest.update(data)
    return Checksum("CRC32C", encode(digest.digest()), kind)


async def sliced(data: bytes, step: int) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(data), step):
        yield data[at : at + step]


async def out(data: bytes, known: Facts, checks: Checks = BOTH, step: int = 100_000) -> bytes:
    body = verified(sliced(data, step), known, "cat", checks)
    return b"".join([block async for block in body])


@pytest.mark.parametrize("step", [1000, 100_000, len(DATA)])
@pytest.mark.parametrize("known", [facts(ETAG), facts(checksum=crc(DATA)), facts("not-an-md5-2")])
async def test_right_bytes_pass_as_they_are(known: Facts, step: int) -> None:
    assert await out(DATA, known, step=step) == DATA


@pytest.mark.parametrize("known", [facts(ETAG), facts("not-an-md5-2", crc(DATA))])
async def test_wrong_bytes_are_corrupt(known: Facts) -> None:
    with pytest.raises(Corrupt):
        await out(WRONG, known)


@pytest.mark.parametrize("known", [facts(ETAG), facts("not-an-md5-2", size=len(DATA) + 1)])
async def test_the_last_block_is_held_back(known: Facts) -> None:
    body = verified(sliced(WRONG, 200_000), known, "cat", BOTH)
    assert await anext(body) == WRONG[:200_000]
    with pytest.raises(Corrupt):
        await anext(body)


async def test_the_checksum_is_asked_before_the_etag() -> None:
    assert await out(DATA, facts("0" * 32, crc(DATA))) == DATA


async def test_a_checksum_of_parts_says_nothing_of_the_whole() -> None:
    known = facts(checksum=crc(b"parts", ChecksumType.COMPOSITE))
    assert await out(DATA, known) == DATA


async def test_an_etag_of_the_storages_own_is_not_asked() -> None:
    checks = Checks(checksums=True, md5_up_to=len(DATA) - 1)
    assert await out(DATA, facts("0" * 32), checks) == DATA


async def test_an_empty_body_is_right() -> None:
    assert await out(b"", facts(md5(b"").hexdigest(), size=0)) == b""
