"""Azure sorts by UTF-16; a listing of ours is in the order of UTF-8, wherever it begins."""

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.storage.azure.listing import in_order, start_of

NAMES = st.text(st.sampled_from("a/z\ud7ff\ue000\uff21\U00010000\U0001f600"), max_size=5)
SETS = st.sets(NAMES, max_size=30)


def as_azure(name: str) -> bytes:
    return name.encode("utf-16-be")


async def pages_of(names: Sequence[str], size: int) -> AsyncIterator[AsyncIterator[Any]]:
    for at in range(0, len(names), size):
        yield page_of(names[at : at + size])
    yield page_of([])


async def page_of(names: Sequence[str]) -> AsyncIterator[Any]:
    for name in names:
        yield SimpleNamespace(name=name)


async def listed(
    names: set[str], size: int, after: str = "", most: int | None = None, prefix: str = ""
) -> list[str]:
    found = sorted((name for name in names if name.startswith(prefix)), key=as_azure)
    begun = [name for name in found if as_azure(name) >= as_azure(start_of(after))]
    blobs = in_order(
        pages_of(begun, size), lambda blob: blob.name > after, known=len(prefix), most=most
    )
    return [blob.name async for blob in blobs]


@given(SETS, st.integers(1, 8), st.sampled_from(["", "a", "\U0001f600"]))
async def test_all_are_listed_in_order(names: set[str], size: int, prefix: str) -> None:
    wanted = sorted(name for name in names if name and name.startswith(prefix))

    assert await listed(names, size, prefix=prefix) == wanted


@given(SETS, st.integers(1, 8), NAMES, st.integers(1, 5))
async def test_a_listing_begins_and_ends_where_it_is_told(
    names: set[str], size: int, after: str, most: int
) -> None:
    wanted = sorted(name for name in names if name > after)

    assert await listed(names, size, after, most) == wanted[:most]


@given(SETS, st.integers(1, 4))
async def test_page_after_page_loses_nothing(names: set[str], most: int) -> None:
    got: list[str] = []
    while page := await listed(names, 3, got[-1] if got else "", most):
        got += page

    assert got == sorted(name for name in names if name)


@pytest.mark.parametrize("most", [0, 1])
async def test_no_more_are_listed_than_wanted(most: int) -> None:
    assert await listed({"a", "b"}, 1, most=most) == ["a", "b"][:most]
