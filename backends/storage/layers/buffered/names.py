"""What names bytes that wait, and what names them later."""

import re
import secrets
from collections import OrderedDict
from typing import Final

from backends.errors import NotFound
from backends.model import Facts, Version
from backends.storage.protocol import ObjectStore

OURS: Final = "buffered:"
ETAG: Final = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
REMEMBERED: Final = 10_000


def new_token() -> str:
    """A name nobody else gives."""
    return secrets.token_hex(16)


def locator_of(token: str, facts: Facts, *, etags: bool) -> str:
    """The locator of bytes that wait: their ETag where that is asked for and there is one."""
    if etags and ETAG.fullmatch(facts.etag):
        return facts.etag
    return f"{OURS}{token}:{facts.version}"


def version_of(locator: str) -> Version | None:
    """The version that a locator of ours names; None for any other locator."""
    if not locator.startswith(OURS):
        return None
    try:
        return Version.parse(locator.removeprefix(OURS).partition(":")[2])
    except ValueError:
        return None


class Aliases:
    """The storage's own locators of what was stored from the buffer.

    A few thousand are remembered; what is not is looked up in the storage by its version.
    """

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._known: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    def add(self, bucket: str, key: str, locator: str, stored: str) -> None:
        """The key's bytes were named `locator` while they waited, and are `stored` now."""
        self._known[bucket, key] = (locator, stored)
        self._known.move_to_end((bucket, key))
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def resolve(self, bucket: str, key: str, locator: str) -> str:
        """The storage's own locator. NotFound where its bytes are not there any more."""
        waited, stored = self._known.get((bucket, key), ("", ""))
        if locator and locator == waited:
            return stored
        version = version_of(locator)
        if version is None:
            return locator
        found = (await self._inner.head(bucket, key, version)).locator
        self.add(bucket, key, locator, found)
        return found

    async def require(self, bucket: str, key: str, replacing: str | None) -> str | None:
        """`replacing` as the storage knows it; what is gone is nothing that is there."""
        if not replacing:
            return replacing
        try:
            return await self.resolve(bucket, key, replacing)
        except NotFound:
            return replacing

    def name(self, bucket: str, key: str, stored: str) -> str:
        """The locator by which the bytes were named first, as far as this process remembers."""
        waited, known = self._known.get((bucket, key), ("", ""))
        return waited if stored == known and waited.startswith(OURS) else stored
