"""A body on its way in, and the facts its bytes will carry."""

import re
from collections.abc import AsyncIterator
from typing import Final, Protocol

from msgspec.structs import replace

from backends.errors import Corrupt
from backends.model import Checksum, Facts, Version

MD5: Final = re.compile("[0-9a-f]{32}")


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

    async def keep(self) -> Version:
        """Called before each block but the last goes to the storage; the version so far."""

    async def settle(self) -> Version:
        """Called before the last block goes to the storage; the version of the whole."""


class Draft:
    """A Source: an incoming body under the facts that a request gave it.

    The last block is held back until the whole is known to be right and its version is settled.
    """

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
        held = b""
        async for block in self._body:
            if held:
                await self._keep()
                yield held
            held = block
        await self._settle()
        if held:
            yield held

    async def _keep(self) -> None:
        if self._hold:
            self._facts = replace(self._facts, version=await self._hold.keep())

    async def _settle(self) -> None:
        version = await self._hold.settle() if self._hold else self._facts.version
        self._facts = replace(
            self._facts,
            version=version,
            size=self._body.received,
            etag=self._body.etag,
            checksum=self._body.checksum,
        )


class Copied(Draft):
    """A Source: a body that came with all its facts, which stay as they are.

    Corrupt, and the last block is withheld, where the body is not of their size, or not of their
    ETag where that is a plain MD5.
    """

    def __init__(self, body: Incoming, facts: Facts, hold: Hold) -> None:
        super().__init__(body, facts)
        self._holding = hold

    @property
    def size(self) -> int:
        return self._facts.size

    async def _keep(self) -> None:
        if self._body.received > self._facts.size:
            raise Corrupt(f"more than the {self._facts.size} bytes that a copy should have")
        await self._holding.keep()

    async def _settle(self) -> None:
        facts, found = self._facts, self._body
        if found.received != facts.size:
            raise Corrupt(f"a copy of {facts.size} bytes came with {found.received}")
        if MD5.fullmatch(facts.etag) and found.etag != facts.etag:
            raise Corrupt(f"a copy with the MD5 {facts.etag} came with {found.etag}")
        await self._holding.settle()
