"""A body on its way in, and the facts its bytes will carry."""

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec.structs import replace

from backends.model import Checksum, Facts, Version


class Incoming(Protocol):
    """A body from a client, verified before its last bytes are handed out.

    `received`, `etag` and `checksum` are right once the iterator has ended.
    """

    @property
    def size(self) -> int | None:
        """Bytes announced, or None."""

    @property
    def received(self) -> int: ...

    @property
    def etag(self) -> str: ...

    @property
    def checksum(self) -> Checksum | None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Hold(Protocol):
    """A writer's hold on what it is about to change."""

    async def keep(self) -> None:
        """Called before each block goes to the storage."""

    async def settle(self) -> Version:
        """Called when all have gone; the version of the whole."""


class Draft:
    """A Source: an incoming body under the facts that a request gave it."""

    def __init__(self, body: Incoming, facts: Facts, hold: Hold | None = None) -> None:
        self._body = body
        self._facts = facts
        self._hold = hold

    @property
    def size(self) -> int | None:
        return self._body.size

    @property
    def facts(self) -> Facts:
        return self._facts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._body:
            if self._hold:
                await self._hold.keep()
            yield block
        version = await self._hold.settle() if self._hold else self._facts.version
        self._facts = replace(
            self._facts,
            version=version,
            size=self._body.received,
            etag=self._body.etag,
            checksum=self._body.checksum,
        )
