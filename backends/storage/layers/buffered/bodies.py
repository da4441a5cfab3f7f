"""Bytes that wait: in a local store, each body under its token, bounded by space."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from backends.clock import milliseconds
from backends.errors import InvalidPart, NotFound
from backends.model import Bucket, Facts
from backends.storage.layers.buffered.holding import Holder
from backends.storage.layers.buffered.journal import Journal
from backends.storage.layers.buffered.names import new_token
from backends.storage.layers.buffered.options import BufferOptions
from backends.storage.layers.flowing import Flow
from backends.storage.local import LocalStore
from backends.storage.protocol import Source, Stored, StoredPart
from backends.threads import in_thread

BUCKET: Final = "buffer"


class Bodies:
    """Receives, hands out and drops bodies. The journal says which of them anything needs."""

    def __init__(self, options: BufferOptions, journal: Journal) -> None:
        self._store = LocalStore.open(options.folder / "bodies", durable=options.durable)
        self._holder = Holder(options.folder / "holders")
        self._journal = journal
        self._most = options.max_bytes
        self._ready = False
        self._looked = False

    async def receive(self, token: str, source: Source) -> Stored:
        """Take a body in, under a token of its own. Busy where there is no room; NoSpace.

        Its room is kept until the journal names the token, or `drop` is called.
        """
        await self._prepare()
        try:
            return await self._store.put(BUCKET, token, await self._counted(token, source))
        except BaseException:
            await self._journal.arrivals.release(token)
            raise

    async def receive_part(self, upload: str, number: int, source: Source) -> str:
        """Take a part of an upload in; the store's token for it. UploadNotFound, as `receive`."""
        await self._prepare()
        token = new_token()
        try:
            body = await self._counted(token, source)
            part = await self._store.put_part(BUCKET, upload, upload, number, body)
            await self._journal.arrivals.add_part(upload, token)
        except BaseException:
            await self._journal.arrivals.release(token)
            raise
        return part

    async def join(self, upload: str, parts: Sequence[StoredPart], facts: Facts) -> Stored:
        """Make a body of an upload's parts, under the upload's token. InvalidPart.

        One that was joined already, before a crash, is as good.
        """
        await self._prepare()
        try:
            return await self._store.complete_upload(BUCKET, upload, upload, parts, facts)
        except InvalidPart:
            joined = await self._joined(upload)
            if joined is None or (joined.size, joined.facts.etag) != (
                sum(part.size for part in parts),
                facts.etag,
            ):
                raise
            return joined

    async def _joined(self, upload: str) -> Stored | None:
        try:
            return await self._store.head(BUCKET, upload)
        except NotFound:
            return None

    async def drop_parts(self, upload: str) -> None:
        """Drop an upload's parts."""
        await self._store.abort_upload(BUCKET, upload, upload)

    async def open(
        self, token: str, *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a body. NotFound."""
        return await self._store.get(BUCKET, token, start=start, length=length)

    async def drop(self, token: str) -> None:
        """Drop a body, unless anything needs it."""
        await self._journal.arrivals.release(token)
        if not self._journal.names(token):
            await self._store.delete(BUCKET, token)

    async def sweep(self) -> int:
        """Remove what crashed writers left; how many things.

        All bodies are looked at once, and again where a process is found to have died.
        """
        await self._prepare()
        swept = await self._store.sweep()
        arrivals = self._journal.arrivals
        alive = {name: await in_thread(self._holder.lives, name) for name in arrivals.holders()}
        for name in [name for name, lives in alive.items() if not lives]:
            await arrivals.release_all(name)
            self._looked = False
        await in_thread(self._holder.tidy)
        if not self._looked:
            swept += await self._drop_leftovers()
            self._looked = True
        return swept

    async def _drop_leftovers(self) -> int:
        dropped = 0
        async for stored in self._store.listing(BUCKET):
            await asyncio.sleep(0)
            if not self._journal.names(stored.key):
                await self._store.delete(BUCKET, stored.key)
                dropped += 1
        return dropped

    async def close(self) -> None:
        self._holder.close()
        await self._store.close()

    async def _prepare(self) -> None:
        if not self._ready:
            await self._store.create_bucket(Bucket(BUCKET, "", milliseconds()))
            self._ready = True

    async def _counted(self, token: str, source: Source) -> Source:
        """The source, its room kept: at once, or as it flows where its length is not known."""
        await self._journal.arrivals.reserve(token, self._holder.name, source.size or 0, self._most)
        if source.size is not None:
            return source

        async def counted(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            taken = 0
            async for block in blocks:
                taken += len(block)
                await self._journal.arrivals.reserve(token, self._holder.name, taken, self._most)
                yield block

        return Flow(source, counted)
