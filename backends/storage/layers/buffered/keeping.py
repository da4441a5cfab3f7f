"""Writes that go into the buffer: bytes first, then the journal's row, by which they are kept."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from backends.errors import InvalidPart, PreconditionFailed, UploadNotFound
from backends.model import Facts
from backends.storage.layers.buffered.bodies import Bodies
from backends.storage.layers.buffered.flusher import Flusher, Ground
from backends.storage.layers.buffered.journal import NEVER, Changed, Entry
from backends.storage.layers.buffered.names import OURS, locator_of, new_token
from backends.storage.layers.buffered.overlay import stored_of
from backends.storage.looking import require_replaced
from backends.storage.protocol import Source, Stored, StoredPart
from backends.storage.reserved import RESERVED, is_reserved

NAME_AT: Final = 1


class Keeping:
    """Keeps puts, deletes and whole multipart uploads until the flusher has stored them."""

    def __init__(self, ground: Ground, flusher: Flusher, *, etags: bool) -> None:
        self._ground = ground
        self._journal = ground.journal
        self._bodies: Bodies = ground.bodies
        self._flusher = flusher
        self._etags = etags

    async def put(self, bucket: str, key: str, source: Source, replacing: str | None) -> Stored:
        """As ObjectStore.put. Busy where the buffer is full."""
        token = new_token()
        try:
            body = await self._bodies.receive(token, source)
            stored = await self._commit(bucket, key, token, body.size, source.facts, replacing)
        except BaseException:
            await self._bodies.drop(token)
            raise
        return stored

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        """The key is empty from now on; with a locator only if that is what it holds."""
        if self.stays(key):
            await self._drop(bucket, key)
            return
        since = self._journal.now()
        make = partial(Entry, bucket, key, new_token(), locator="", size=0, facts=None)
        with suppress(PreconditionFailed):
            await self._store(make(deletes=True, since=since), locator or None)

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        """Begin an upload that lives in the buffer; its token."""
        token = new_token()
        await self._journal.arrivals.begin_upload(token, bucket, key, facts.upload)
        return OURS + token

    async def put_part(self, upload: str, number: int, source: Source) -> str:
        """As ObjectStore.put_part."""
        token = upload.removeprefix(OURS)
        try:
            self._journal.arrivals.require_upload(token)
            return await self._bodies.receive_part(token, number, source)
        except UploadNotFound as error:
            await self._bodies.drop_parts(token)
            raise InvalidPart(str(error)) from error

    async def complete_upload(
        self,
        bucket: str,
        key: str,
        upload: str,
        parts: Sequence[StoredPart],
        facts: Facts,
        replacing: str | None,
    ) -> Stored:
        """As ObjectStore.complete_upload."""
        token = upload.removeprefix(OURS)
        try:
            self._journal.arrivals.require_upload(token)
        except UploadNotFound as error:
            raise InvalidPart(str(error)) from error
        await self._require(bucket, key, self._journal.find(bucket, key), replacing)
        body = await self._bodies.join(token, parts, facts)
        return await self._commit(bucket, key, token, body.size, facts, replacing)

    async def abort_upload(self, upload: str) -> None:
        """As ObjectStore.abort_upload."""
        token = upload.removeprefix(OURS)
        if await self._journal.arrivals.end_upload(token):
            await self._bodies.drop_parts(token)
            await self._bodies.drop(token)

    def stays(self, key: str) -> bool:
        """Whether the key belongs to an upload that lives here, and so stays with it.

        Gateways without state keep a record of each upload and of its parts under our own prefix.
        They are of no use to anyone else, and go with the upload.
        """
        if not is_reserved(key):
            return False
        names = key.removeprefix(RESERVED).split("/")
        return len(names) > NAME_AT and self._journal.arrivals.has_upload(names[NAME_AT])

    async def _commit(
        self, bucket: str, key: str, token: str, size: int, facts: Facts, replacing: str | None
    ) -> Stored:
        locator = locator_of(token, facts, etags=self._etags)
        next_try = NEVER if self.stays(key) else 0
        since = self._journal.now()
        make = partial(Entry, bucket, key, token, deletes=False, locator=locator, size=size)
        entry = make(facts=facts, since=since, next_try=next_try)
        await self._store(entry, replacing)
        return stored_of(entry, facts)

    async def _store(self, entry: Entry, replacing: str | None) -> None:
        """Journal the entry, then drop the bytes of the one it replaces."""
        while True:
            seen = self._journal.find(entry.bucket, entry.key)
            await self._require(entry.bucket, entry.key, seen, replacing)
            token = None if replacing is None else (seen.token if seen else "")
            try:
                replaced = await self._journal.store(entry, seen=token)
            except Changed:
                continue
            break
        self._flusher.wake()
        if replaced:
            await self._bodies.drop(replaced)

    async def _require(
        self, bucket: str, key: str, seen: Entry | None, replacing: str | None
    ) -> None:
        """PreconditionFailed unless `replacing` is at the key: what waits, else what is stored."""
        if replacing is None:
            return
        if seen is None:
            ground = self._ground
            wanted = await ground.aliases.require(bucket, key, replacing)
            await require_replaced(ground.inner, bucket, key, wanted or "")
        elif seen.locator != replacing:
            raise PreconditionFailed(f"{bucket}/{key} was changed meanwhile")

    async def _drop(self, bucket: str, key: str) -> None:
        """Forget a put that was never to be stored."""
        entry = self._journal.find(bucket, key)
        if entry and await self._journal.remove(entry):
            await self._bodies.drop(entry.token)
