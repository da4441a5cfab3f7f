"""A body on its way in, and the facts its bytes will carry."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from msgspec.structs import replace

from backends.model import Checksum, Facts


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


async def unheld() -> None:
    """Keep no lease: for bytes that are not visible on their own."""


class Draft:
    """A Source: an incoming body under the facts that a request gave it."""

    def __init__(
        self, body: Incoming, facts: Facts, keep: Callable[[], Awaitable[None]] = unheld
    ) -> None:
        self._body = body
        self._facts = facts
        self._keep = keep
        self._ended = False

    @property
    def size(self) -> int | None:
        return self._body.size

    @property
    def facts(self) -> Facts:
        if not self._ended:
            return self._facts
        return replace(
            self._facts,
            size=self._body.received,
            etag=self._body.etag,
            checksum=self._body.checksum,
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._body:
            await self._keep()
            yield block
        self._ended = True
