"""Objects that come to their end by themselves: that very version goes, or nothing does."""

from typing import Final

from msgspec.structs import replace

from backends.errors import Superseded
from backends.model import Facts, Row
from backends.state.protocol import StateStore
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.writes import Writes, ended

OPERATION: Final = "expiry"


class Endings:
    """The rules of expiry over one state and one storage."""

    def __init__(
        self, state: StateStore, writes: Writes, discards: Discards, objects: Objects
    ) -> None:
        self._state = state
        self._writes = writes
        self._discards = discards
        self._objects = objects

    async def end(self, row: Row) -> bool:
        """Remove the object if the row is still the key's newest; whether it went.

        Its tombstone is right above it, so any other write of the key wins, at whatever site.
        BucketNotFound.
        """
        tombstone = Row(row.bucket, row.key, Facts(row.version.end), deleted=True)
        if self._writes.in_place:
            return await self._end_in_place(tombstone)
        committed = await self._state.commit(tombstone, ended(tombstone))
        self._discards.add(committed.replaced)
        return committed.replaced is not None

    async def archive(self, row: Row, bucket: str) -> None:
        """Copy the object under its key into another bucket, where it does not expire.

        Superseded where the row is no longer the key's newest; BucketNotFound, NotFound.
        """

        def decide(found: Row) -> Facts:
            if found.version != row.version:
                raise Superseded(f"{row.bucket}/{row.key}: {row.version} is not there any more")
            return replace(found.facts, upload="", expires=0)

        await self._objects.copy((row.bucket, row.key), bucket, row.key, decide, OPERATION)

    async def _end_in_place(self, tombstone: Row) -> bool:
        try:
            return await self._writes.apply_removal(
                tombstone.bucket, tombstone.key, tombstone.version, event=ended(tombstone)
            )
        except Superseded:
            return False
