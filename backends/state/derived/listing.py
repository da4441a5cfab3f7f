"""A page of a storage's own listing, without the keys that are reserved."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from backends.model import Entry
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.reserved import BEHIND, is_reserved


async def entries_of(
    store: ObjectStore, bucket: str, *, prefix: str, after: str, limit: int
) -> AsyncGenerator[Entry, None]:
    """Up to `limit` entries above `after`; reserved keys are jumped over, not walked."""
    while limit > 0:
        jumps = False
        listing = store.listing(bucket, prefix=prefix, after=after, most=limit)
        async with aclosing(listing) as found:
            async for stored in found:
                if jumps := is_reserved(stored.key):
                    break
                yield _entry(stored)
                limit -= 1
        if not jumps:
            return
        after = max(after, BEHIND)


def _entry(stored: Stored) -> Entry:
    facts = stored.facts
    checksum = facts.checksum
    return Entry(
        stored.key,
        facts.version.stamp,
        stored.size,
        facts.etag,
        facts.owner,
        facts.storage_class,
        checksum.algorithm if checksum else "",
        checksum.kind.value if checksum else "",
    )
