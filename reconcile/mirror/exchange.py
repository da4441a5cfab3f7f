"""Objects given from a bucket to a plain storage and back, verified on their way.

Nothing is replaced or deleted but what was looked at: whoever writes meanwhile wins.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple, Protocol

from backends.errors import (
    BackendError,
    BucketNotFound,
    Corrupt,
    NotFound,
    PreconditionFailed,
    Superseded,
    Unavailable,
)
from backends.model import Bucket, Row
from backends.storage.layers.flowing import Flowing
from backends.storage.looking import require_replaced
from backends.storage.protocol import Fetched, Stored
from reconcile.mirror.sides import Change, Sides, as_bytes_tell
from reconcile.mirror.verdicts import REASONS, Source
from reconcile.sites.apply import Result
from reconcile.sites.plan import Action
from reconcile.storages.comparing import Ground, Pair, remains
from reconcile.storages.proving import Proof, Prove


class Intake(Protocol):
    """Writes into our buckets as a client would, so that other sites get it, too."""

    async def take(self, bucket: Bucket, key: str, found: Fetched, row: Row | None) -> None:
        """Store what was found in another storage: with its content headers, metadata and ETag.

        PreconditionFailed and NotFound where the key's live row is not that one any more; Corrupt
        where the bytes are not those that the storage told of.
        """


class Exchanged(NamedTuple):
    """A change, how it went, and how many bytes were carried."""

    change: Change
    result: Result
    detail: str = ""
    moved: int = 0


class Exchange:
    """Applies changes to both sides. Unavailable where one does not answer."""

    def __init__(self, sides: Sides, intake: Intake, prove: Prove) -> None:
        self._sides = sides
        self._intake = intake
        self._prove = prove

    async def apply(self, change: Change) -> Exchanged:
        """Do it, unless something newer came meanwhile."""
        kind, action, _ = change.verdict
        if action is Action.KEEP:
            return Exchanged(change, Result.KEPT, REASONS[kind])
        try:
            return await self._applied(change)
        except (BucketNotFound, Unavailable):
            raise
        except (PreconditionFailed, Superseded, NotFound):
            return Exchanged(change, Result.NEWER)
        except BackendError as error:
            return Exchanged(change, Result.FAILED, str(error) or type(error).__name__)

    async def _applied(self, change: Change) -> Exchanged:
        key, row, stored = change.pair
        await self._require_current(change.pair)
        if change.verdict.giver is Source.STORAGE and stored:
            return Exchanged(change, Result.APPLIED, moved=await self._take(change.pair, stored))
        if change.verdict.action is Action.DELETE and stored:
            await self._sides.there.delete(self._sides.name, key, stored.locator)
            return Exchanged(change, Result.APPLIED)
        if row is None:
            raise NotFound(f"nobody has {key} any more")
        return Exchanged(change, Result.APPLIED, moved=await self._send(row, stored))

    async def _require_current(self, pair: Pair) -> None:
        """Return if the row is the key's newest still. Superseded."""
        bucket = self._sides.bucket.name
        if await self._sides.state.newest(bucket, pair.key) != pair.row:
            raise Superseded(f"{bucket}/{pair.key} was written meanwhile")

    async def _send(self, row: Row, stored: Stored | None) -> int:
        """Store our object there, in the place of what was seen."""
        there, name, key = self._sides.there, self._sides.name, row.key
        replacing: str | None = stored.locator if stored else ""
        if not there.capabilities.conditional:
            await require_replaced(there, name, key, replacing or "")
            replacing = None
        async with aclosing(await self._open(row)) as blocks:
            pieces = proved(blocks, self._prove(row.facts), f"{row.bucket}/{key}")
            body = Flowing(pieces, row.facts.size, row.facts)
            await there.put(name, key, body, replacing=replacing)
        if stored and there.capabilities.keeps_replaced:
            await there.delete(name, key, stored.locator)
        return row.facts.size

    async def _open(self, row: Row) -> AsyncGenerator[bytes, None]:
        try:
            return await self._sides.store.get(row.bucket, row.key, row.locator)
        except NotFound as error:
            if not await remains(Ground(self._sides.state, self._sides.store, row.bucket), row):
                raise Superseded(f"{row.bucket}/{row.key} is being written") from error
            raise Corrupt(
                f"our storage does not have the bytes of {row.bucket}/{row.key}: see `ccs scrub`"
            ) from error

    async def _take(self, pair: Pair, stored: Stored) -> int:
        """Store here what is there, if it is what was seen."""
        found = await self._sides.there.fetch(self._sides.name, pair.key)
        async with aclosing(found.body):
            if found.stored.locator != stored.locator:
                raise Superseded(f"{self._sides.name}/{pair.key} was written meanwhile")
            body = self._guarded(found.body, pair)
            async with aclosing(body):
                await self._intake.take(
                    self._sides.bucket,
                    pair.key,
                    Fetched(as_bytes_tell(found.stored), body),
                    pair.row,
                )
        return stored.size

    async def _guarded(
        self, blocks: AsyncGenerator[bytes, None], pair: Pair
    ) -> AsyncGenerator[bytes, None]:
        """The bytes; Superseded at their end where clients wrote, or deleted, the key meanwhile."""
        async for block in blocks:
            yield block
        await self._require_current(pair)


async def proved(
    blocks: AsyncGenerator[bytes, None], proof: Proof, what: str
) -> AsyncGenerator[bytes, None]:
    """The same bytes; the last of them only where the whole is right. Corrupt."""
    held = b""
    async for block in blocks:
        proof.update(block)
        if held:
            yield held
        held = block
    proof.require(what)
    if held:
        yield held
