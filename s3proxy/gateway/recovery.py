"""What crashed writers left, settled by looking at the storage."""

import contextlib
from dataclasses import dataclass
from typing import Final

from backends.errors import NotFound, PreconditionFailed, Unavailable, UploadNotFound
from backends.model import Intent, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore, Stored
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.writes import Change

BATCH: Final = 100
SETTLED: Final = Change("ObjectCreated:CompleteMultipartUpload", "recovery")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in milliseconds; None is for ever."""

    intents: int
    tombstones: int
    uploads: int | None


class Recovery:
    """One pass settles what is due; running it twice, or in the middle of a crash, is safe."""

    def __init__(
        self, state: StateStore, store: ObjectStore, discards: Discards, keep: Retention
    ) -> None:
        self._state = state
        self._store = store
        self._discards = discards
        self._keep = keep

    async def run(self) -> int:
        """Settle intents, discards, old tombstones and abandoned uploads; how many things."""
        settled = await self._store.sweep()
        settled += await self._settle_intents()
        settled += await self._discards.settle(older_than=self._keep.intents)
        settled += await self._purge_tombstones()
        return settled + await self._abort_stale_uploads()

    async def _purge_tombstones(self) -> int:
        purged = 0
        while gone := await self._state.purge_tombstones(
            older_than=self._keep.tombstones, limit=BATCH
        ):
            purged += gone
        return purged

    async def _settle_intents(self) -> int:
        settled = 0
        while intents := await self._state.claim_expired_intents(
            lease=self._keep.intents, limit=BATCH
        ):
            for intent in intents:
                await self._settle(intent)
            settled += len(intents)
        return settled

    async def _settle(self, intent: Intent) -> None:
        """Finish or undo one write that no one answers for.

        A completion has consumed its parts, and an overwriting storage has lost what was there:
        both go forward. Any other write is undone: its client was never told that it happened.
        """
        try:
            stored = await self._store.head(intent.bucket, intent.key, intent.version)
        except NotFound:
            await self._state.drop_intent(intent)
            return
        undo = self._store.capabilities.keeps_replaced and not intent.upload
        if undo or not await self._finish(intent, stored):
            await self._store.delete(intent.bucket, intent.key, stored.locator)
            await self._end_upload(intent.bucket, intent.key, intent.upload)
            await self._state.drop_intent(intent)

    async def _finish(self, intent: Intent, stored: Stored) -> bool:
        """Whether the stored bytes are the key's current ones now."""
        if stored.facts is None:
            return False
        row = Row(intent.bucket, intent.key, stored.facts, stored.locator)
        try:
            committed = await self._state.commit(
                row,
                SETTLED.event_of(row),
                intent=intent,
                condition=intent.condition,
                upload=intent.upload,
            )
        except (PreconditionFailed, NotFound):
            return False
        self._discards.add(committed.replaced)
        return committed.won

    async def _end_upload(self, bucket: str, key: str, name: str) -> None:
        with contextlib.suppress(UploadNotFound):
            if name:
                await self._state.delete_upload(bucket, key, name)

    async def _abort_stale_uploads(self) -> int:
        if self._keep.uploads is None:
            return 0
        stale = await self._state.stale_uploads(older_than=self._keep.uploads, limit=BATCH)
        for upload in stale:
            with contextlib.suppress(UploadNotFound, Unavailable):
                await self._store.abort_upload(upload.bucket, upload.key, upload.token)
                await self._state.delete_upload(upload.bucket, upload.key, upload.name)
        return len(stale)
