"""A storage's listing with what waits laid over it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from backends.model import Facts
from backends.storage.layers.buffered.journal import Entry, Journal
from backends.storage.protocol import ObjectStore, Stored

PAGE: Final = 1000


def stored_of(entry: Entry, facts: Facts) -> Stored:
    """A put that waits, as a storage tells of it."""
    return Stored(entry.key, entry.size, entry.locator, facts, facts.modified)


def puts_of(entries: Sequence[Entry]) -> list[Stored]:
    """The puts among the entries."""
    return [stored_of(entry, entry.facts) for entry in entries if entry.facts]


async def merged(
    journal: Journal, inner: ObjectStore, bucket: str, prefix: str, after: str, most: int | None
) -> AsyncGenerator[Stored, None]:
    """What waits and what is stored, in the order of keys; `most` is how many are wanted.

    The journal is read before the storage: what was stored in between is then in both, not in
    neither.
    """
    while True:
        waiting = journal.page(bucket, prefix, after, PAGE)
        last = waiting[-1].key if len(waiting) == PAGE else None
        async with aclosing(_stored(inner, bucket, prefix, after, most)) as stored:
            async for one in _laid_over(waiting, stored, last):
                yield one
        if last is None:
            return
        after = last


async def _laid_over(
    waiting: Sequence[Entry], stored: AsyncGenerator[Stored, None], last: str | None
) -> AsyncGenerator[Stored, None]:
    """The entries and the stored objects up to the key `last`."""
    hidden = {entry.key for entry in waiting}
    puts = puts_of(waiting)
    puts.reverse()
    async for one in stored:
        while puts and puts[-1].key < one.key:
            yield puts.pop()
        if last is not None and one.key > last:
            break
        if one.key not in hidden:
            yield one
    while puts:
        yield puts.pop()


async def _stored(
    inner: ObjectStore, bucket: str, prefix: str, after: str, most: int | None
) -> AsyncGenerator[Stored, None]:
    """The storage's listing, asked for more as long as it is read: some of it may be hidden."""
    while True:
        listed = 0
        listing = inner.listing(bucket, prefix=prefix, after=after, most=most)
        async with aclosing(listing) as found:
            async for stored in found:
                listed += 1
                after = stored.key
                yield stored
        if most is None or listed < most:
            return
