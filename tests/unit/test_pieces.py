"""Bodies cut into pieces of one size."""

import os
from collections.abc import AsyncGenerator

import pytest

from backends.storage.pieces import begun, sized

DATA = os.urandom(1000)


async def blocks(step: int) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(DATA), step):
        yield DATA[at : at + step]


@pytest.mark.parametrize("size", [1, 7, 64, 500, 999, 1000, 1001])
@pytest.mark.parametrize("step", [1, 3, 64, 333, 1000])
async def test_any_blocks_give_the_same_pieces(size: int, step: int) -> None:
    pieces = [piece async for piece in sized(blocks(step), size)]

    assert pieces == [DATA[at : at + size] for at in range(0, len(DATA), size)]


async def test_an_empty_body_has_no_pieces() -> None:
    empty = blocks(1)
    await empty.aclose()

    assert [piece async for piece in sized(empty, 10)] == []


@pytest.mark.parametrize("size", [None, 1000])
async def test_a_body_of_one_piece_is_taken_off_whole(size: int | None) -> None:
    assert await begun(sized(blocks(64), 1000), size, 1000) == ([DATA], True)


@pytest.mark.parametrize(
    ("size", "early"), [(None, [DATA[:600], DATA[600:]]), (1000, [DATA[:600]])]
)
async def test_of_a_longer_body_no_more_is_taken_off_than_its_kind_needs(
    size: int | None, early: list[bytes]
) -> None:
    pieces = sized(blocks(64), 600)

    assert await begun(pieces, size, 600) == (early, False)
    assert b"".join([*early, *[piece async for piece in pieces]]) == DATA
