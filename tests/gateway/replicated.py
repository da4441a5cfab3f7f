"""What another site sends: bodies with their facts, whole or halfway."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import md5

from backends.model import Checksum, ChecksumType, Facts, ObjectPart, Row, Version
from backends.storage.local.store import INLINE
from tests.gateway.conftest import Body, House

LARGE = bytes(range(256)) * 2000
FAR_AHEAD = 2**62


def west(stamp: int) -> Version:
    """A version of another site; low ones are below all that is written here."""
    return Version(stamp, "west")


def digest(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


def body(data: bytes) -> Body:
    return Body(data, etag=digest(data))


def facts_of(data: bytes, version: Version) -> Facts:
    """Facts with all that an object can have."""
    return Facts(
        version,
        len(data),
        digest(data),
        owner="ann",
        headers={"content-type": "text/x-cat"},
        metadata={"name": "Tom"},
        storage_class="STANDARD_IA",
        checksum=Checksum("CRC32", "AAAAAA==", ChecksumType.FULL_OBJECT),
        parts=(ObjectPart(1, len(data), "AAAAAA=="),),
        upload="made there",
    )


def tombstone(version: Version) -> Row:
    return Row("photos", "cat", Facts(version), deleted=True)


@dataclass
class Halting(Body):
    """A body that stops behind its first blocks until it is let go."""

    halted: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in super().__aiter__():
            if self.received > len(self.data) // 2 and not self.halted.is_set():
                self.halted.set()
                await self.go_on.wait()
            yield block


def halting(data: bytes) -> Halting:
    return Halting(data, etag=digest(data))


class Unread(Body):
    """A body that nobody has to ask for."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""


async def settled(house: House, *, files: int | None = None) -> None:
    """Nothing is promised, and nothing lies in the storage beside what rows name.

    `files` are those that the live rows have; None for one each, where it is not small.
    """
    assert await house.state.unsettled() == 0
    for discard in await house.state.discards(older_than=-1, limit=100):
        await house.store.delete(discard.bucket, discard.key, discard.locator)
    rows = await house.state.inventory("photos", after="", limit=100)
    live = [row.key for row in rows if not row.deleted]
    assert await house.stored("photos") == live
    large = [row for row in rows if row.facts.size > INLINE]
    assert len(house.segments()) == (len(large) if files is None else files)
