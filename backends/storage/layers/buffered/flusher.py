"""The worker that stores what waits: oldest first, a few at once, again and again."""

import asyncio
import fcntl
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from backends.errors import (
    BackendError,
    BucketNotFound,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from backends.model import Facts
from backends.storage.layers.buffered.bodies import Bodies
from backends.storage.layers.buffered.journal import Entry, Journal
from backends.storage.layers.buffered.names import Aliases
from backends.storage.layers.buffered.options import BufferOptions
from backends.storage.layers.buffered.steadiness import Steadiness
from backends.storage.layers.flowing import Flowing
from backends.storage.protocol import ObjectStore, Stored, StoredPart

AT_ONCE: Final = 4
LOOK_SECONDS: Final = 0.5
SECOND: Final = 1000
LOCK: Final = "flush.lock"
FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Ground:
    """What a flusher stands on."""

    inner: ObjectStore
    journal: Journal
    bodies: Bodies
    aliases: Aliases
    steadiness: Steadiness


class Flusher:
    """Stores the entries of one folder. One process of those that share it does so at a time."""

    def __init__(
        self,
        ground: Ground,
        options: BufferOptions,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ground = ground
        self._options = options
        self._sleep = sleep
        self._under_way: set[tuple[str, str]] = set()
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Something new waits."""
        self._news.set()

    async def run(self) -> None:
        """Store what waits, and ask a storage that failed whether it answers, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            async with self._turn(), asyncio.TaskGroup() as lanes:
                for _ in range(AT_ONCE):
                    lanes.create_task(self._store_for_ever())

    async def flush_due(self) -> None:
        """Store what may be tried now; what fails stays, with its error and a time to try again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._store_all())

    async def flush(self, entry: Entry) -> bool:
        """Store one entry; whether it is stored. What fails is noted."""
        try:
            stored = await self._stored(entry)
        except PreconditionFailed as error:
            await self._note(entry, error, self._options.retry_seconds)
        except Unavailable as error:
            await self._note(entry, error, self._pause(entry.attempts))
        except BackendError as error:
            await self._note(entry, error, self._options.longest_retry_seconds)
        else:
            self._ground.steadiness.steady()
            await self._forget(entry, stored)
            return True
        return False

    async def _forget(self, entry: Entry, stored: Stored | None) -> None:
        """The entry is done, unless a later write took its place."""
        ground = self._ground
        if stored:
            ground.aliases.add(entry.bucket, entry.key, entry.locator, stored.locator)
        if await ground.journal.remove(entry) and not entry.deletes:
            await ground.bodies.drop(entry.token)

    async def _stored(self, entry: Entry) -> Stored | None:
        """Bring the storage to where the entry wants it; what it holds then, if it is known.

        What another gateway wrote after the entry began to wait stands.
        """
        found = await self._found(entry)
        if found and is_later(found, entry):
            return None
        if entry.facts is None:
            await self._delete(entry, found)
            return None
        if found and is_same(found, entry.facts, entry.size):
            return found
        return await self._put(entry, entry.facts, found)

    async def _found(self, entry: Entry) -> Stored | None:
        try:
            return await self._ground.inner.head(entry.bucket, entry.key)
        except NotFound:
            return None

    async def _delete(self, entry: Entry, found: Stored | None) -> None:
        if found:
            with suppress(BucketNotFound):
                await self._ground.inner.delete(entry.bucket, entry.key)

    async def _put(self, entry: Entry, facts: Facts, found: Stored | None) -> Stored:
        """Conditional where that can be had, so that no other gateway's write is run over."""
        inner = self._ground.inner
        replacing = None
        if inner.capabilities.conditional:
            replacing = found.locator if found else ""
        if inner.capabilities.etag_is_locator and are_whole(facts, entry.size):
            return await self._put_parts(entry, facts, replacing)
        async with aclosing(await self._ground.bodies.open(entry.token)) as pieces:
            flowing = Flowing(pieces, entry.size, facts)
            return await inner.put(entry.bucket, entry.key, flowing, replacing=replacing)

    async def _put_parts(self, entry: Entry, facts: Facts, replacing: str | None) -> Stored:
        """In the parts it came in: the storage's ETag is then the one that clients were told."""
        inner, bucket, key = self._ground.inner, entry.bucket, entry.key
        upload = await inner.create_upload(bucket, key, facts)
        try:
            parts: list[StoredPart] = []
            for part in facts.parts:
                start = sum(stored.size for stored in parts)
                body = await self._ground.bodies.open(entry.token, start=start, length=part.size)
                async with aclosing(body) as pieces:
                    flowing = Flowing(pieces, part.size, facts)
                    token = await inner.put_part(bucket, key, upload, part.number, flowing)
                parts.append(StoredPart(part.number, token, part.size))
            return await inner.complete_upload(
                bucket, key, upload, parts, facts, replacing=replacing
            )
        except BaseException:
            with suppress(BackendError):
                await inner.abort_upload(bucket, key, upload)
            raise

    async def _note(self, entry: Entry, error: BackendError, seconds: float) -> None:
        journal = self._ground.journal
        text = f"{type(error).__name__}: {error}"
        await journal.failed(entry, text, journal.now() + int(seconds * SECOND))

    def _pause(self, attempts: int) -> float:
        """Twice as long each time, up to a bound, and never just as long as others."""
        options = self._options
        doubled = options.retry_seconds * 2.0 ** min(attempts, 40)
        return min(doubled, options.longest_retry_seconds) * random.uniform(0.5, 1.0)

    async def _store_for_ever(self) -> None:
        while True:
            await self._ground.steadiness.reachable.wait()
            self._news.clear()
            await self._store_all()
            if not self._under_way and self._ground.steadiness.reachable.is_set():
                self._ground.steadiness.steady()
            await self._rest()

    async def _store_all(self) -> None:
        """Until nothing is due that nobody else works on, or the storage fails."""
        while entry := self._next():
            place = (entry.bucket, entry.key)
            self._under_way.add(place)
            try:
                stored = await self.flush(entry)
            finally:
                self._under_way.remove(place)
            if not stored and not self._ground.steadiness.reachable.is_set():
                return

    def _next(self) -> Entry | None:
        due = self._ground.journal.due(len(self._under_way) + 1)
        return next(
            (entry for entry in due if (entry.bucket, entry.key) not in self._under_way), None
        )

    async def _rest(self) -> None:
        """Until there is news; other processes tell none, so not for long."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return

    async def _watch(self) -> None:
        """Ask a storage that failed, less and less often, until it answers."""
        asked = 0
        while True:
            await self._ground.steadiness.failing.wait()
            await self._sleep(min(self._pause(asked), self._options.unsteady_seconds))
            asked += 1
            try:
                await self._ground.inner.ping()
            except Unavailable:
                continue
            except BackendError:
                self._ground.steadiness.answered()  # a storage that refuses does answer
            asked = 0
            if not self._ground.journal.due(1):
                self._ground.steadiness.steady()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until no other process stores; the block is the turn."""
        file = os.open(self._options.folder / LOCK, FLAGS, PRIVATE)
        try:
            while not taken(file):
                await self._sleep(LOOK_SECONDS)
            yield
        finally:
            os.close(file)


def taken(file: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def are_whole(facts: Facts, size: int) -> bool:
    """Whether the facts name parts that all the bytes came in."""
    return bool(facts.parts) and sum(part.size for part in facts.parts) == size


def is_later(found: Stored, entry: Entry) -> bool:
    """Whether the stored bytes were written, by a gateway, after the entry began to wait."""
    version = found.facts.version
    if not found.ours or version.milliseconds <= entry.since:
        return False
    return entry.facts is None or version > entry.facts.version


def is_same(found: Stored, facts: Facts, size: int) -> bool:
    """Whether a flush that was cut off stored just these bytes already."""
    return bool(facts.etag) and found.size == size and found.facts == facts
