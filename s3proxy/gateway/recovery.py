"""What crashed writers left, settled by looking at the storage."""

import contextlib
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from backends.errors import NotFound, PreconditionFailed, Unavailable, UploadNotFound
from backends.model import UNCONDITIONAL, Facts, Intent, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore, Stored
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.tombstones import Tombstones
from s3proxy.gateway.uploads import REPLICA
from s3proxy.gateway.writes import REMOVED, Change, ended

BATCH: Final = 100
REPLICAS_KEPT: Final = 7 * 24 * 3_600_000
SETTLED: Final = Change("ObjectCreated:CompleteMultipartUpload", "recovery")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in milliseconds; None is for ever.

    What other sites send as `uploads` goes after REPLICAS_KEPT at the latest.
    """

    intents: int
    tombstones: int
    uploads: int | None


class Recovery:
    """One pass settles what is due; running it twice, or in the middle of a crash, is safe."""

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        discards: Discards,
        keep: Retention,
        tombstones: Tombstones | None = None,
    ) -> None:
        """Without `tombstones` there are no other sites to wait for before they go."""
        self._state = state
        self._store = store
        self._discards = discards
        self._keep = keep
        self._tombstones = tombstones or Tombstones(state, keep.tombstones)

    async def run(self) -> int:
        """Settle intents, discards, old tombstones and abandoned uploads; how many things."""
        settled = await self._store.sweep()
        settled += await self._settle_intents()
        settled += await self._discards.settle(older_than=self._keep.intents)
        settled += await self._tombstones.purge()
        settled += await self._abort_uploads(older_than=REPLICAS_KEPT, prefix=REPLICA)
        if self._keep.uploads is not None:
            settled += await self._abort_uploads(older_than=self._keep.uploads)
        return settled

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
        both go forward. A replica does too: what it copies has happened. Any other write is
        undone: its client was never told that it happened.
        """
        if intent.deletes:
            await self._finish_delete(intent)
            return
        stored = await self._find(intent)
        if stored is None:
            await self._state.drop_intent(intent)
            return
        undo = not (intent.alone or intent.upload or intent.replica)
        if undo or not await self._finish(intent, stored):
            await self._store.delete(intent.bucket, intent.key, stored.locator)
            await self._end_upload(intent.bucket, intent.key, intent.upload)
            await self._state.drop_intent(intent)

    async def _find(self, intent: Intent) -> Stored | None:
        """What the write stored, under the version it ended or began with, or as an upload."""
        with contextlib.suppress(NotFound):
            return await self._store.head(intent.bucket, intent.key, intent.version)
        with contextlib.suppress(NotFound):
            newest = await self._store.head(intent.bucket, intent.key)
            begun = newest.ours and newest.facts.version == intent.begun
            joined = intent.upload and newest.facts.upload == intent.upload
            return newest if begun or joined else None
        return None

    async def _finish_delete(self, intent: Intent) -> None:
        """Only a writer who had the key alone leaves such an intent: its delete may be repeated."""
        if intent.alone:
            await self._store.delete(intent.bucket, intent.key)
        with contextlib.suppress(NotFound):
            await self._bury(intent)
        await self._state.drop_intent(intent)

    async def _bury(self, intent: Intent) -> None:
        bucket, key = intent.bucket, intent.key
        if intent.replica:
            tombstone = Row(bucket, key, Facts(intent.version), deleted=True)
            event = ended(tombstone) if intent.version.is_end else None
            await self._state.commit(tombstone, event, intent=intent, overwrote=intent.alone)
        else:
            await self._state.bury(bucket, key, REMOVED, SETTLED.operation, intent=intent)

    async def _finish(self, intent: Intent, stored: Stored) -> bool:
        """Whether the stored bytes are the key's current ones now."""
        facts = replace(stored.facts, version=intent.version)
        row = Row(intent.bucket, intent.key, facts, stored.locator)
        try:
            committed = await self._state.commit(
                row,
                None if intent.replica else SETTLED.event_of(row),
                intent=intent,
                condition=UNCONDITIONAL if intent.alone else intent.condition,
                upload=intent.upload,
                overwrote=intent.alone,
            )
        except (PreconditionFailed, NotFound):
            return False
        if not intent.alone:
            self._discards.add(committed.replaced)
        return committed.won

    async def _end_upload(self, bucket: str, key: str, name: str) -> None:
        with contextlib.suppress(UploadNotFound):
            if name:
                await self._state.delete_upload(bucket, key, name)

    async def _abort_uploads(self, *, older_than: int, prefix: str = "") -> int:
        stale = await self._state.stale_uploads(older_than=older_than, limit=BATCH, prefix=prefix)
        for upload in stale:
            with contextlib.suppress(UploadNotFound, Unavailable):
                await self._store.abort_upload(upload.bucket, upload.key, upload.token)
                await self._state.delete_upload(upload.bucket, upload.key, upload.name)
        return len(stale)
