"""What a site had before another one was added, sent to it once: row by row, from a checkpoint."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from msgspec import Struct

from backends.bounded import bounded
from backends.errors import BucketNotFound, NotFound
from backends.model import Bucket, Row
from backends.state.protocol import StateStore
from backends.state.transfer import every_bucket
from replication.documents import SHARED, SYSTEM, Documents, value_at

log: Final = structlog.get_logger("replication")
BACKFILL: Final = "backfill/"
PAGE: Final = 200


class Checkpoint(Struct, frozen=True):
    """All up to this object has been sent; `done` says that it was the last."""

    bucket: str = ""
    key: str = ""
    done: bool = False
    sent: int = 0


class Backfill:
    """`send` sends a row, however often that takes, or parks it; `at_once` are under way."""

    def __init__(
        self,
        state: StateStore,
        own: Documents,
        send: Callable[[Row], Awaitable[None]],
        at_once: int,
    ) -> None:
        self._state = state
        self._own = own
        self._send = send
        self._at_once = at_once

    async def run(self, site: str) -> None:
        """Send everything once; return at once where that was done."""
        name = BACKFILL + site
        checkpoint = await value_at(self._own, name, Checkpoint, Checkpoint())
        if checkpoint.done:
            return
        for bucket in await self._buckets(checkpoint.bucket):
            after = checkpoint.key if bucket == checkpoint.bucket else ""
            checkpoint = await self._bucket(name, bucket, after, checkpoint.sent)
        await self._own.put(name, Checkpoint(done=True, sent=checkpoint.sent))
        log.info("a new site has what was here", site=site, objects=checkpoint.sent)

    async def _bucket(self, name: str, bucket: str, after: str, sent: int) -> Checkpoint:
        checkpoint = Checkpoint(bucket, after, sent=sent)
        try:
            while rows := await self._state.inventory(bucket, after=checkpoint.key, limit=PAGE):
                await bounded(self._send, rows, at_once=self._at_once)
                sent += len(rows)
                checkpoint = Checkpoint(bucket, rows[-1].key, sent=sent)
                await self._own.put(name, checkpoint)
        except BucketNotFound:
            log.info("a bucket went while it was sent", bucket=bucket)
        return checkpoint

    async def _buckets(self, first: str) -> list[str]:
        """The shared documents, then every bucket from `first` on."""
        names = [SHARED] if first in {"", SHARED} else []
        others = every_bucket(self._state)
        return names + [bucket.name async for bucket in others if _remains(bucket, first)]


async def again(own: Documents, site: str) -> None:
    """Let everything be sent to the site once more."""
    await own.put(BACKFILL + site, Checkpoint())


async def progress(own: Documents, site: str) -> Checkpoint | None:
    """How far it has come; None where it has not begun."""
    try:
        return await own.read(BACKFILL + site, Checkpoint)
    except NotFound:
        return None


def _remains(bucket: Bucket, first: str) -> bool:
    return bucket.name not in SYSTEM and (first in SYSTEM or bucket.name >= first)
