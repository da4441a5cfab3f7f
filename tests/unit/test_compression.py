"""Bodies between sites, compressed: what shrinks, what does not, and what must not be believed."""

import os
import sys
from collections.abc import AsyncIterator

import pytest

from backends.errors import Refused
from replication.compression import BLOCK, Decoder, packed, unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1024 * 1024
TEXT = b"a line of a log that is like the line before\n" * 50_000


async def blocks_of(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def packed_whole(data: bytes, key: str, size: int) -> tuple[bytes, bool]:
    travelling = await packed(blocks_of(data, size), key)
    return b"".join([block async for block in travelling.blocks]), travelling.compressed


async def whole(data: bytes, announced: int, step: int = 65_536) -> bytes:
    return b"".join([block async for block in unpacked(blocks_of(data, step), announced)])


@pytest.mark.parametrize("size", [1000, 300_000, 16 * MIB])
async def test_what_shrinks_travels_compressed_and_comes_out_as_it_was(size: int) -> None:
    sent, compressed = await packed_whole(TEXT, "a.log", size)

    assert compressed
    assert len(sent) < len(TEXT) // 20
    assert await whole(sent, len(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (os.urandom(MIB), "noise"),
        (os.urandom(MIB) + TEXT, "noise first"),
        (TEXT, "a.tar.GZ"),
        (b"", "empty"),
        (b"short", "short"),
    ],
    ids=["noise", "noise-first", "by-name", "empty", "short"],
)
async def test_what_does_not_shrink_travels_as_it_is(data: bytes, key: str) -> None:
    assert await packed_whole(data, key, 65_536) == (data, False)


async def test_noise_behind_a_block_that_shrinks_grows_by_little() -> None:
    data = TEXT[:65_536] + os.urandom(MIB)

    sent, compressed = await packed_whole(data, "k", 65_536)

    assert compressed
    assert len(sent) < MIB * 1.02
    assert await whole(sent, len(data)) == data


@pytest.mark.parametrize("step", [1, 7, 100_000])
async def test_any_split_on_the_way_comes_out_alike(step: int) -> None:
    assert await whole(zstd.compress(TEXT), len(TEXT), step) == TEXT


@pytest.mark.parametrize(
    ("body", "announced"),
    [
        (zstd.compress(TEXT)[:-1], len(TEXT)),
        (zstd.compress(TEXT)[: len(zstd.compress(TEXT)) // 2], len(TEXT)),
        (b"", 0),
        (b"no zstd at all", 14),
        (zstd.compress(TEXT), len(TEXT) - 1),
        (zstd.compress(TEXT), len(TEXT) + 1),
        (zstd.compress(TEXT) + b"x", len(TEXT)),
        (zstd.compress(TEXT) + zstd.compress(TEXT), 2 * len(TEXT)),
    ],
    ids=["cut", "half", "nothing", "garbage", "longer", "shorter", "tail", "two frames"],
)
@pytest.mark.parametrize("step", [1000, 10 * MIB])
async def test_what_is_not_one_whole_frame_of_the_size_is_refused(
    body: bytes, announced: int, step: int
) -> None:
    with pytest.raises(Refused):
        await whole(body, announced, step)


async def test_a_bomb_is_decompressed_no_further_than_was_announced() -> None:
    bomb = zstd.compress(bytes(1024 * MIB))
    given = 0

    async def take() -> None:
        nonlocal given
        async for block in unpacked(blocks_of(bomb, len(bomb)), MIB):
            assert len(block) <= BLOCK
            given += len(block)

    with pytest.raises(Refused, match="more bytes than were announced"):
        await take()

    assert given <= MIB


def test_a_frame_that_asks_for_much_memory_is_refused() -> None:
    window = {int(zstd.CompressionParameter.window_log): 27}
    compressor = zstd.ZstdCompressor(options=window)
    greedy = compressor.compress(b"x" * 1000) + compressor.flush()

    with pytest.raises(Refused, match="memory"):
        Decoder(1000).step(greedy)
