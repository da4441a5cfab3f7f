"""Blobs in the order of their names' UTF-8 bytes.

Azure sorts names by their UTF-16 code units. The two orders differ where characters above U+FFFF,
which UTF-16 writes as surrogates, meet those from U+E000 to U+FFFF.
"""

import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, Final

FIRST_ABOVE: Final = "\U00010000"
ABOVE: Final = re.compile("[\U00010000-\U0010ffff]")
BEHIND_SURROGATES: Final = re.compile("[\ue000-\uffff]")


def start_of(after: str) -> str:
    """A name that all names behind `after` in our order are behind in Azure's, too."""
    found = BEHIND_SURROGATES.search(after)
    return f"{after[: found.start()]}{FIRST_ABOVE}" if found else after


async def in_order(
    pages: AsyncIterator[AsyncIterator[Any]],
    wanted: Callable[[Any], bool],
    *,
    known: int,
    most: int | None,
) -> AsyncGenerator[Any, None]:
    """The first `most` blobs that are wanted, from pages of them in Azure's order.

    All names begin alike, with `known` characters. A blob waits for as long as another may come
    that belongs before it; only where a name goes on with a character above U+FFFF does one.
    """
    waiting: list[Any] = []
    left = sys.maxsize if most is None else most
    async for page in pages:
        blobs = [blob async for blob in page]
        if not blobs:
            continue
        ready, waiting = _parted([*waiting, *filter(wanted, blobs)], blobs[-1].name, known)
        for blob in ready[:left]:
            yield blob
        left -= len(ready)
        if left <= 0:
            return
        waiting = waiting[:left]
    for blob in waiting:
        yield blob


def _parted(blobs: Sequence[Any], last: str, known: int) -> tuple[list[Any], list[Any]]:
    """Those that no name above `last` belongs before, and those that must wait; both in order."""
    ready: list[Any] = []
    waiting: list[Any] = []
    for blob in sorted(blobs, key=lambda blob: str(blob.name)):
        above = ABOVE.search(blob.name, known)
        waits = above is not None and last.startswith(blob.name[: above.start()])
        (waiting if waits else ready).append(blob)
    return ready, waiting
