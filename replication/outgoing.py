"""Bodies on their way to another site: what they are, and how they travel."""

import base64
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import anycrc

from backends.etags import is_md5
from replication.compression import ZSTD, packed
from replication.messages import DECODED_LENGTH_HEADER, ENCODING_HEADER

LENGTH: Final = "content-length"
CRC64: Final = anycrc.Model("CRC64-NVME")
CRC64_HEADER: Final = "x-amz-checksum-crc64nvme"


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes of an object of that key, before they are packed for the way.

    `digest` are the headers that say what they must be.
    """

    key: str
    size: int
    digest: dict[str, str]
    blocks: AsyncIterator[bytes]


class Travelling(NamedTuple):
    """A body as it travels, and the headers that announce it."""

    blocks: AsyncIterator[bytes]
    headers: dict[str, str]


async def travelling(body: Body, *, compresses: bool) -> Travelling:
    """The body, compressed where that is wanted and makes it shorter."""
    blocks, compressed = body.blocks, False
    if compresses:
        blocks, compressed = await packed(body.blocks, body.key)
    size = str(body.size)
    length = {ENCODING_HEADER: ZSTD, DECODED_LENGTH_HEADER: size} if compressed else {LENGTH: size}
    return Travelling(blocks, length | body.digest)


class Outgoing:
    """A body on its way out, and the error that its own source ended with, if any."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for block in self._blocks:
                yield block
        except Exception as error:
            self.error = error
            raise


def digest_of(etag: str) -> dict[str, str]:
    """The header of a body's MD5, where its ETag is one."""
    if not is_md5(etag):
        return {}
    return {"content-md5": base64.b64encode(bytes.fromhex(etag)).decode()}


def checksum_of(blocks: Iterable[bytes]) -> dict[str, str]:
    """The header of bytes whose MD5 nobody asks for: a CRC costs a tenth of it."""
    value = 0
    for block in blocks:
        value = CRC64.calc(block, value)
    return {CRC64_HEADER: base64.b64encode(value.to_bytes(8, "big")).decode()}
