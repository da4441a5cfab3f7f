"""Bodies in pieces of one size, for storages that take them so."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any


async def sized(blocks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of just `size`, the last one shorter.

    While a piece is in use elsewhere, no more than one block is held here.
    """
    waiting: list[bytes] = []
    missing = size
    async for block in blocks:
        rest = block
        while len(rest) >= missing:
            waiting.append(rest[:missing])
            rest = rest[missing:]
            yield _joined(waiting)
            missing = size
        if rest:
            waiting.append(rest)
            missing -= len(rest)
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[bytes]) -> bytes:
    """Empty the list into one piece."""
    whole = blocks[0] if len(blocks) == 1 else b"".join(blocks)
    blocks.clear()
    return whole


async def begun(
    pieces: AsyncIterator[bytes], size: int | None, most: int
) -> tuple[list[bytes], bool]:
    """The first pieces of a body, and whether they are the whole of it.

    Of a body that is known to be longer than `most`, the size of a piece, only one is taken off.
    """
    first = await anext(pieces, b"")
    if size is not None and size > most:
        return [first], False
    second = await anext(pieces, b"")
    return ([first, second], False) if second else ([first], True)


async def chained(early: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces that were taken off already, not held on to once they have left; then the rest."""
    while early:
        yield early.pop(0)
    async for piece in rest:
        yield piece
        del piece  # before the next one is gathered


class Whole(AsyncGenerator[bytes, None]):
    """A body that is at hand: who sees one may take its `data` instead of asking for blocks."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = data

    async def asend(self, value: None) -> bytes:
        del value
        block, self._left = self._left, b""
        if not block:
            raise StopAsyncIteration
        return block

    async def athrow(self, kind: Any, error: Any = None, trace: Any = None) -> bytes:
        self._left = b""
        return await nothing().athrow(kind, error, trace)

    async def aclose(self) -> None:
        self._left = b""


async def nothing() -> AsyncGenerator[bytes, None]:
    """A body without bytes."""
    empty: tuple[bytes, ...] = ()
    for piece in empty:
        yield piece
