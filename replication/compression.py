"""Bodies between sites, compressed with zstd (RFC 8878) where that makes them shorter.

The digests of a body are those of its bytes as they are, compressed or not.
"""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final, NamedTuple

from backends.errors import Refused
from backends.threads import in_thread

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD: Final = "zstd"
BLOCK: Final = 512 * 1024
SAMPLE: Final = 128 * 1024
IN_A_THREAD: Final = 64 * 1024
WORTH: Final = 0.9
LARGEST_WINDOW: Final = 23  # 8 MiB, as a decoder should allow (RFC 8878, 3.1.1.1.2)
DENSE: Final = (
    *(".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".br", ".zip", ".7z", ".rar", ".jar"),
    *(".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".mp3", ".m4a", ".ogg", ".flac"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".parquet", ".orc", ".docx", ".xlsx"),
)


class Packed(NamedTuple):
    """A body as it travels."""

    blocks: AsyncGenerator[bytes, None]
    compressed: bool


async def packed(body: AsyncIterator[bytes], key: str) -> Packed:
    """The body, compressed unless its key or its first block says that it would not shrink."""
    if key.lower().endswith(DENSE):
        return Packed(_chained(b"", body), compressed=False)
    first = await anext(aiter(body), b"")
    whole = _chained(first, body)
    if await _shrinks(first[:SAMPLE]):
        return Packed(_encoded(whole), compressed=True)
    return Packed(whole, compressed=False)


async def shortened(text: bytes) -> bytes | None:
    """The text, compressed; None where that makes it hardly shorter."""
    short = await _worth_a_thread(zstd.compress, text)
    return short if len(short) < WORTH * len(text) else None


async def unpacked(pieces: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """What was compressed, in blocks of BLOCK bytes at the most.

    Refused where it is no zstd, cut off, or not of that size; nothing beyond it is decompressed.
    """
    decoder = Decoder(size)
    async for piece in pieces:
        data = piece
        while data or decoder.holds:
            block = await _worth_a_thread(decoder.step, data)
            data = b""
            if block:
                yield block
    decoder.close()


class Decoder:
    """One zstd frame on its way in, which must have `size` bytes."""

    def __init__(self, size: int) -> None:
        limit: dict[int, int] = {zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW}
        self._zstd = zstd.ZstdDecompressor(options=limit)
        self._left = size

    @property
    def holds(self) -> bool:
        """Whether more comes out without more going in."""
        return not (self._zstd.needs_input or self._zstd.eof)

    def step(self, data: bytes) -> bytes:
        """Take data in, and give at most a block out. Refused."""
        if self._zstd.eof:
            raise Refused("more follows the end of a zstd frame")
        try:
            block = self._zstd.decompress(data, min(BLOCK, self._left + 1))
        except zstd.ZstdError as error:
            raise Refused(f"the body is no zstd: {error}") from error
        self._left -= len(block)
        if self._left < 0:
            raise Refused("a zstd frame has more bytes than were announced")
        if self._zstd.unused_data:
            raise Refused("more follows the end of a zstd frame")
        return block

    def close(self) -> None:
        """Nothing more comes. Refused where something lacks."""
        if not self._zstd.eof:
            raise Refused("a zstd frame was cut off")
        if self._left:
            raise Refused(f"a zstd frame has {self._left} bytes fewer than were announced")


def lengthened(data: bytes, size: int) -> bytes:
    """What was compressed to that. Refused as `unpacked`."""
    decoder = Decoder(size)
    blocks = [decoder.step(data)]
    while decoder.holds:
        blocks.append(decoder.step(b""))
    decoder.close()
    return b"".join(blocks)


async def _encoded(blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    compressor = zstd.ZstdCompressor()
    async for block in blocks:
        for start in range(0, len(block), BLOCK):
            piece = await _worth_a_thread(compressor.compress, block[start : start + BLOCK])
            if piece:
                yield piece
    yield compressor.flush()


async def _shrinks(sample: bytes) -> bool:
    return len(await _worth_a_thread(zstd.compress, sample)) < WORTH * len(sample)


async def _worth_a_thread(work: Callable[[bytes], bytes], data: bytes) -> bytes:
    """What the work makes of the data; large ones in a thread."""
    return await in_thread(work, data) if len(data) >= IN_A_THREAD else work(data)


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    if first:
        yield first
    async for block in rest:
        yield block
