"""Rows of objects that a storage holds: made of what it tells, in the one way there is."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from backends.errors import NotFound
from backends.model import Facts, Row, Version
from backends.storage.protocol import ObjectStore, Stored

PAGE: Final = 1000


class Given(Struct, frozen=True, omit_defaults=True):
    """What rows get that the storage does not tell.

    `owner` is whose the object is where its bytes name nobody. What no gateway wrote also gets
    those `headers` and `metadata` that it lacks, and is removed when it `expires`: 0 is never.
    """

    owner: str
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    expires: int = 0

    def to(self, facts: Facts) -> Facts:
        """The facts with all that."""
        owner = facts.owner or self.owner
        if facts.version.site:
            return replace(facts, owner=owner)
        return replace(
            facts,
            owner=owner,
            headers={**self.headers, **facts.headers},
            metadata={**self.metadata, **facts.metadata},
            expires=self.expires,
        )


async def page_of(
    store: ObjectStore, bucket: str, *, prefix: str = "", after: str = "", most: int = PAGE
) -> list[Stored]:
    """What a storage lists behind `after`; no more than `most`, fewer only at the end."""
    async with aclosing(store.listing(bucket, prefix=prefix, after=after, most=most)) as listing:
        return await next_of(listing, most)


async def next_of(listing: AsyncGenerator[Stored, None], most: int) -> list[Stored]:
    """The next ones of a listing; fewer than `most` only at its end."""
    page: list[Stored] = []
    while len(page) < most and (stored := await anext(listing, None)):
        page.append(stored)
    return page


def row_of(bucket: str, stored: Stored, given: Given) -> Row:
    """The row of what a storage tells completely."""
    return Row(bucket, stored.key, given.to(stored.facts), stored.locator)


def as_listed(row: Row) -> Row:
    """The row of what was listed, where the listing tells less than there is."""
    return replace(row, facts=replace(row.facts, listed=True))


async def looked_at(store: ObjectStore, bucket: str, listed: Stored) -> Stored | None:
    """All that the storage tells of what it listed; None where that went meanwhile.

    Bytes of no gateway get the version that a row has once it is completed.
    """
    if store.capabilities.lists_facts:
        return listed
    try:
        stored = await store.head(bucket, listed.key)
    except NotFound:
        return None
    if stored.ours:
        return stored
    version = completed_version(listed.facts.version)
    return Stored(
        stored.key,
        stored.size,
        stored.locator,
        replace(stored.facts, version=version),
        stored.modified,
    )


def completed(row: Row, stored: Stored) -> Row:
    """A row that only a listing told of, with all that the storage tells of its bytes.

    Its version is above the one it had: the one that the bytes carry, or else the next.
    """
    version = completed_version(row.version)
    if stored.ours:
        version = max(version, stored.facts.version)
        owner = stored.facts.owner or row.facts.owner
        return replace(
            row, locator=stored.locator, facts=replace(stored.facts, version=version, owner=owner)
        )
    facts = replace(
        row.facts,
        version=version,
        size=stored.size,
        etag=stored.facts.etag,
        headers={**row.facts.headers, **stored.facts.headers},
        metadata={**row.facts.metadata, **stored.facts.metadata},
        listed=False,
    )
    return replace(row, locator=stored.locator, facts=facts)


def completed_version(version: Version) -> Version:
    """The version of a completed row, where that of the listed one is this."""
    return Version(version.stamp + 1, version.site)
