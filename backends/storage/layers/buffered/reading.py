"""Reads: what waits for a key comes before what the storage has."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace as changed
from typing import Final

from backends.errors import NotFound
from backends.model import Version
from backends.storage.layers.buffered.flusher import Ground
from backends.storage.layers.buffered.journal import Entry
from backends.storage.layers.buffered.keeping import Keeping
from backends.storage.layers.buffered.overlay import merged, puts_of, stored_of
from backends.storage.layers.forwarding import Forwarding
from backends.storage.looking import fetch_after_head
from backends.storage.protocol import Fetched, Stored

UPLOAD_KEYS: Final = 100_000


class Reading(Forwarding):
    """The verbs that change nothing."""

    def __init__(self, ground: Ground, keeping: Keeping) -> None:
        super().__init__(ground.inner)
        self._journal = ground.journal
        self._bodies = ground.bodies
        self._aliases = ground.aliases
        self._keeping = keeping

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        while entry := self._journal.find(bucket, key):
            require_put(entry, locator)
            try:
                return await self._bodies.open(entry.token, start=start, length=length)
            except NotFound:
                if self._journal.names(entry.token):
                    raise
        self._require_elsewhere(bucket, key)
        stored = await self._aliases.resolve(bucket, key, locator)
        return await super().get(bucket, key, stored, start=start, length=length)

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        entry = self._journal.find(bucket, key)
        if entry is None:
            self._require_elsewhere(bucket, key)
            return self._named(bucket, await super().head(bucket, key, version))
        if entry.facts is None or version not in {None, entry.facts.version}:
            raise NotFound(f"{bucket}/{key}: what waits for the storage is not of that version")
        return stored_of(entry, entry.facts)

    async def fetch(self, bucket: str, key: str) -> Fetched:
        return await fetch_after_head(self, bucket, key)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        if self._keeping.stays(prefix):
            for stored in puts_of(self._journal.page(bucket, prefix, after, UPLOAD_KEYS)):
                yield stored
            return
        left = most
        listing = merged(self._journal, self._inner, bucket, prefix, after, most)
        async with aclosing(listing) as found:
            async for stored in found:
                if left == 0:
                    return
                yield self._named(bucket, stored)
                left = None if left is None else left - 1

    def _named(self, bucket: str, stored: Stored) -> Stored:
        """Under the name it had while it waited, as far as that is remembered."""
        locator = self._aliases.name(bucket, stored.key, stored.locator)
        return stored if locator == stored.locator else changed(stored, locator=locator)

    def _require_elsewhere(self, bucket: str, key: str) -> None:
        """NotFound for a key that would lie in the buffer if it were anywhere."""
        if self._keeping.stays(key):
            raise NotFound(f"the buffer has nothing at {bucket}/{key}")


def require_put(entry: Entry, locator: str) -> None:
    """NotFound unless the entry is a put, of just these bytes where a locator names some."""
    if entry.deletes or locator not in {"", entry.locator}:
        raise NotFound(f"{entry.bucket}/{entry.key}: what waits there are not the bytes {locator}")
