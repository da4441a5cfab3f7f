"""Bytes of an object, out of the catalog and its segment files, block by block."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final, NamedTuple

from backends.errors import Corrupt
from backends.storage.local.segments import Segments, disk_errors
from backends.threads import acquired, in_thread

BLOCK: Final = 1024 * 1024
OPEN_AT_ONCE: Final = 256


class Extent(NamedTuple):
    """`length` bytes from `start` of a segment file, or of a body that is here."""

    segment: str | None
    body: bytes | None
    start: int
    length: int


async def read(segments: Segments, extents: Sequence[Extent]) -> AsyncGenerator[bytes, None]:
    """Open what the extents name, then hand their bytes out. NotFound comes before any byte.

    What is one block comes at once. Of more, up to 256 segments are held open from the beginning,
    so that an object that is replaced meanwhile can be read to its end.
    """
    if len(extents) == 1 and extents[0].length <= BLOCK:
        return at_hand(await in_thread(_read_at_once, segments, extents[0]))
    files = await acquired(partial(_open, segments, extents[:OPEN_AT_ONCE]), _close)
    blocks = _stream(segments, extents, files)
    await anext(blocks)  # it has begun, so to close it unread closes the files too
    return blocks


async def at_hand(body: bytes) -> AsyncGenerator[bytes, None]:
    """Bytes that the catalog had."""
    if body:
        yield body


def _read_at_once(segments: Segments, extent: Extent) -> bytes:
    if extent.segment is None:
        return (extent.body or b"")[extent.start : extent.start + extent.length]
    files = _open(segments, [extent])
    try:
        return _read(files[extent.segment], extent, extent.start, extent.length)
    finally:
        _close(files)


def _open(segments: Segments, extents: Sequence[Extent]) -> dict[str, int]:
    files: dict[str, int] = {}
    try:
        for extent in extents:
            if extent.segment and extent.segment not in files:
                files[extent.segment] = segments.open(extent.segment)
    except BaseException:
        _close(files)
        raise
    return files


def _close(files: dict[str, int]) -> None:
    while files:
        os.close(files.popitem()[1])


async def _stream(
    segments: Segments, extents: Sequence[Extent], files: dict[str, int]
) -> AsyncGenerator[bytes, None]:
    try:
        yield b""
        for extent in extents:
            if extent.segment is None:
                yield (extent.body or b"")[extent.start : extent.start + extent.length]
                continue
            if extent.segment not in files:
                files[extent.segment] = await acquired(
                    partial(segments.open, extent.segment), os.close
                )
            async with aclosing(_file_blocks(files[extent.segment], extent)) as blocks:
                async for block in blocks:
                    yield block
    finally:
        _close(files)


async def _file_blocks(file: int, extent: Extent) -> AsyncGenerator[bytes, None]:
    """The extent's bytes; while one block is on its way out, the next is read."""
    at, end = extent.start, extent.start + extent.length
    reading = _start_reading(file, extent, at, end)
    try:
        while reading:
            block = await reading
            at += len(block)
            reading = _start_reading(file, extent, at, end)
            yield block
    finally:
        if reading:
            await asyncio.gather(reading, return_exceptions=True)


def _start_reading(file: int, extent: Extent, at: int, end: int) -> asyncio.Future[bytes] | None:
    if at >= end:
        return None
    return asyncio.ensure_future(in_thread(_read, file, extent, at, min(BLOCK, end - at)))


def _read(file: int, extent: Extent, at: int, length: int) -> bytes:
    with disk_errors(f"segment {extent.segment}"):
        block = os.pread(file, length, at)
    if len(block) < length:
        end = at + len(block)
        raise Corrupt(f"segment {extent.segment} ends at {end}, its catalog says otherwise")
    return block
