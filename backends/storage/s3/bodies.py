"""Bodies cut into the pieces that an S3 endpoint takes."""

import hashlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Final

from backends.threads import in_thread

BLOCK: Final = 256 * 1024
IN_MEMORY: Final = 1024 * 1024


async def next_block(blocks: AsyncIterator[bytes]) -> bytes:
    """The next block that has bytes; none where the body is over."""
    async for block in blocks:
        if block:
            return block
    return b""


class Cut:
    """Reads blocks; gives them out again in pieces of exact size."""

    def __init__(self, blocks: AsyncIterator[bytes], first: bytes = b"") -> None:
        self._blocks = blocks
        self._rest = first
        self._gathered = b""

    async def piece(self, size: int) -> AsyncGenerator[bytes, None]:
        """The next `size` bytes, or as many as are left."""
        while size:
            block = self._rest or await next_block(self._blocks)
            if not block:
                return
            self._rest = block[size:]
            size -= min(size, len(block))
            yield block if not self._rest else block[: -len(self._rest)]

    async def gathered(self, size: int) -> bytes:
        """The next `size` bytes in memory, or as many as are left."""
        if piece := self._gathered:
            self._gathered = b""
            return piece
        return b"".join([block async for block in self.piece(size)])

    def put_back(self, piece: bytes) -> None:
        """What was gathered last is gathered next."""
        self._gathered = piece

    async def pieces(self, size: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """All that is left, in pieces in memory, numbered from 1."""
        number = 0
        while piece := await self.gathered(size):
            number += 1
            yield number, piece
            del piece  # before the next one takes as much memory again


class Digested:
    """Blocks on their way through; `md5` tells the digest of those that passed, if `enabled`."""

    def __init__(self, blocks: AsyncIterator[bytes], *, enabled: bool) -> None:
        self._blocks = blocks
        self._enabled = enabled
        self._digest = hashlib.md5(usedforsecurity=False)

    def md5(self) -> str:
        """In hexadecimal digits; "" where it is not wanted."""
        return self._digest.hexdigest() if self._enabled else ""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._blocks:
            if self._enabled:
                await in_thread(self._digest.update, block)
            yield block


@asynccontextmanager
async def spooled(blocks: AsyncIterator[bytes]) -> AsyncIterator[tuple[IO[bytes], int]]:
    """A body of unknown length on disk (small ones in memory), and its length."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        size = 0
        while block := await next_block(blocks):
            size += len(block)
            await in_thread(file.write, block)
        file.seek(0)
        yield file, size


async def read(file: IO[bytes]) -> AsyncIterator[bytes]:
    """What is in the file, from where it stands."""
    while block := await in_thread(file.read, BLOCK):
        yield block
