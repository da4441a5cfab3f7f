"""Bodies on their way out, checked against the digest of the whole before their last block goes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import md5
from typing import Final, NamedTuple

from backends.errors import Corrupt
from backends.model import ChecksumType, Facts
from s3proxy.s3.algorithms import ALGORITHMS, Digest

MD5_DIGITS: Final = 32
IN_A_THREAD: Final = 64 * 1024
CHANGED: Final = "the storage's bytes are not those that were written"
CHEAP: Final = frozenset({"CRC32", "CRC32C", "CRC64NVME"})


class Checks(NamedTuple):
    """By what whole objects are checked: a checksum; an ETag that is the MD5 of so many bytes."""

    checksums: bool = False
    md5_up_to: int = 0


def require_right(data: bytes, facts: Facts, subject: str, checks: Checks) -> None:
    """Corrupt where `data` is not the whole of the object, by the digest that `verified` takes."""
    digest, expected = _digest_of(facts, checks)
    if digest:
        digest.update(data)
    if len(data) != facts.size or (digest and digest.digest() != expected):
        raise Corrupt(f"{subject}: {CHANGED}")


async def verified(
    body: AsyncGenerator[bytes, None], facts: Facts, subject: str, checks: Checks
) -> AsyncGenerator[bytes, None]:
    """The whole body of an object; its last block only where the digest is that of the facts.

    A CRC of the whole is checked where there is one, else an ETag that is an MD5, as far as the
    checks ask for it; of any other object the length alone. Corrupt, and the last block is
    withheld.
    """
    digest, expected = _digest_of(facts, checks)
    held, size = b"", 0
    async with aclosing(body):
        async for block in body:
            if held:
                yield held
            size += len(block)
            await _update(digest, block)
            held = block
    if size != facts.size or (digest and digest.digest() != expected):
        raise Corrupt(f"{subject}: {CHANGED}")
    if held:
        yield held


def _digest_of(facts: Facts, checks: Checks) -> tuple[Digest | None, bytes]:
    """The cheapest digest that there is of the whole, begun, and what it should be in the end."""
    checksum = facts.checksum
    whole = checksum and checksum.kind is ChecksumType.FULL_OBJECT
    if checks.checksums and checksum and whole and checksum.algorithm in CHEAP:
        algorithm = ALGORITHMS[checksum.algorithm]
        return algorithm.start(), algorithm.decode(checksum.value) or b""
    if facts.size <= checks.md5_up_to and len(facts.etag) == MD5_DIGITS:
        return md5(usedforsecurity=False), bytes.fromhex(facts.etag)
    return None, b""


async def _update(digest: Digest | None, block: bytes) -> None:
    if digest is None:
        return
    if len(block) < IN_A_THREAD:
        digest.update(block)
    else:
        await asyncio.get_running_loop().run_in_executor(None, digest.update, block)
