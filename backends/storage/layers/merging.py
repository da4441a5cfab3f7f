"""Listings of several storages as one."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing

from backends.storage.protocol import Stored

Listing = AsyncGenerator[Stored, None]


async def merged(listings: Sequence[Listing], most: int | None) -> Listing:
    """The newest of each key, in the order of the keys' UTF-8 bytes; no more than `most`."""
    async with AsyncExitStack() as stack:
        for listing in listings:
            await stack.enter_async_context(aclosing(listing))
        heads = {listing: await anext(listing, None) for listing in listings}
        while (most is None or most > 0) and (found := _first(list(heads.values()))):
            yield found
            most = None if most is None else most - 1
            for listing, head in heads.items():
                if head and head.key == found.key:
                    heads[listing] = await anext(listing, None)


def _first(heads: Sequence[Stored | None]) -> Stored | None:
    """The newest of those with the lowest key."""
    there = [head for head in heads if head]
    if not there:
        return None
    lowest = min((head.key for head in there), key=str.encode)
    return max((head for head in there if head.key == lowest), key=lambda one: one.facts.version)
