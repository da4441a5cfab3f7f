"""One change, sent to one site: the newest there is of the object, not what the event says."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, nullcontext
from typing import Final, NamedTuple

from backends.errors import BucketNotFound, Corrupt, NotFound, PreconditionFailed
from backends.etags import is_md5
from backends.events.records import REMOVED
from backends.model import Event, Facts, Row
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from replication.client import SiteClient
from replication.documents import SHARED, SYSTEM
from replication.messages import LARGEST_HEADER, Completion, PartMark, to_header
from replication.outgoing import Body, checksum_of
from replication.topology import BUCKETS

MOST_PARTS: Final = 10_000
LEAST_PART: Final = 5 * 1024**2
LARGE_AT_ONCE: Final = 4


Part = list[bytes]


class Sent(NamedTuple):
    """`size` bytes of an object went out; nothing did where the change was stale."""

    size: int = 0
    stale: bool = False


STALE: Final = Sent(stale=True)


class Push:
    """Sends what state and storage of our `site` hold.

    Objects up to `whole_bytes` whose ETag is their MD5 go whole, others in parts of `part_bytes`.
    """

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        *,
        site: str,
        part_bytes: int,
        whole_bytes: int = 0,
    ) -> None:
        self._state = state
        self._store = store
        self._site = site
        self._part_bytes = max(part_bytes, LEAST_PART)
        self._whole_bytes = max(whole_bytes, self._part_bytes)
        self._large: dict[str, asyncio.Semaphore] = {}

    async def event(self, event: Event, site: SiteClient) -> Sent:
        """Send what the event is about, unless a later event of the object does.

        As SiteClient; Corrupt where the storage does not hold what the row says.
        """
        row = await self._newest(event.bucket, event.key)
        if row is None and event.name.startswith(REMOVED):
            row = Row(event.bucket, event.key, Facts(event.version), deleted=True)
        if row is None or (row.version != event.version and row.version.site == self._site):
            return STALE
        return await self.row(row, site)

    async def row(self, row: Row, site: SiteClient) -> Sent:
        """Send a row; the site gets its bucket first where it lacks it."""
        try:
            return await self._send(row, site)
        except BucketNotFound:
            if row.bucket in SYSTEM:
                raise
            await self.bucket(row.bucket, site)
        return await self._send(row, site)

    async def bucket(self, name: str, site: SiteClient) -> None:
        """Send the bucket itself."""
        row = await self._newest(SHARED, BUCKETS + name)
        if row is None:
            raise BucketNotFound(f"the bucket {name} has no facts to send")
        await self._send(row, site)

    async def _newest(self, bucket: str, key: str) -> Row | None:
        try:
            return await self._state.newest(bucket, key)
        except BucketNotFound:
            return None

    async def _send(self, row: Row, site: SiteClient) -> Sent:
        if row.bucket in SYSTEM:
            await self._send_document(row, site)
            return Sent()
        owner = await self._owner(row.bucket)
        if owner is None:
            return STALE
        if row.deleted:
            await site.delete(row.bucket, row.key, row.version, owner=owner)
            return Sent()
        try:
            await self._send_bytes(row, site, owner)
        except BucketNotFound:
            raise
        except PreconditionFailed:
            return STALE
        except NotFound:
            if await self._newest(row.bucket, row.key) != row:
                return STALE
            raise
        return Sent(row.facts.size)

    async def _owner(self, bucket: str) -> str | None:
        """Whose the bucket is; None where it is gone, and all in it."""
        try:
            return (await self._state.bucket(bucket)).owner
        except BucketNotFound:
            return None

    async def _send_document(self, row: Row, site: SiteClient) -> None:
        if row.deleted:
            await site.delete(row.bucket, row.key, row.version)
        else:
            await site.put_document(row.bucket, row.key, row.facts)

    async def _send_bytes(self, row: Row, site: SiteClient, owner: str) -> None:
        large = row.facts.size > self._part_bytes
        async with self._large_to(site) if large else nullcontext():
            if self._goes_whole(row.facts):
                await self._send_whole(row, site, owner)
            else:
                await self._send_parts(row, site, owner)

    def _goes_whole(self, facts: Facts) -> bool:
        """Whether it is small enough, and can be verified by its ETag when it arrives."""
        verified = is_md5(facts.etag) or not facts.size
        small = facts.size <= self._whole_bytes and len(to_header(facts)) <= LARGEST_HEADER
        return verified and small

    def _large_to(self, site: SiteClient) -> asyncio.Semaphore:
        """A turn of one of the few large objects at once; a slow site has only its own wait."""
        return self._large.setdefault(site.name, asyncio.Semaphore(LARGE_AT_ONCE))

    async def _send_whole(self, row: Row, site: SiteClient, owner: str) -> None:
        body = await self._open(row)
        async with aclosing(body):
            await site.put(row.bucket, row.key, row.facts, body, owner=owner)

    async def _send_parts(self, row: Row, site: SiteClient, owner: str) -> None:
        """Go on behind the parts that are there; all is read, so that the whole can be verified."""
        offer = await site.begin(row.bucket, row.key, row.facts, owner=owner)
        if not offer.wanted:
            return
        there = {mark.number: mark for mark in offer.parts}
        whole = _Whole(row.facts.etag)
        marks: list[PartMark] = []
        body = await self._open(row)
        async with aclosing(body):
            async for number, part in _numbered(body, self._size_of_parts(row.facts)):
                digesting = whole.update(part)
                mark = await _same(part, there.get(number))
                marks.append(mark or await self._send_part(row, site, number, part))
                await digesting
        if not whole.is_right:
            raise Corrupt(f"{row.bucket}/{row.key}: the storage holds other bytes than were put")
        await site.complete(row.bucket, row.key, Completion(row.facts, tuple(marks)))

    async def _send_part(self, row: Row, site: SiteClient, number: int, part: Part) -> PartMark:
        digest = await asyncio.to_thread(checksum_of, part)
        body = Body(row.key, sum(map(len, part)), digest, _each(part))
        return await site.put_part(row.bucket, row.key, row.version, number, body)

    def _size_of_parts(self, facts: Facts) -> int:
        return max(self._part_bytes, -(-facts.size // MOST_PARTS))

    async def _open(self, row: Row) -> AsyncGenerator[bytes, None]:
        return await self._store.get(row.bucket, row.key, row.locator)


async def _numbered(blocks: AsyncIterator[bytes], size: int) -> AsyncIterator[tuple[int, Part]]:
    """The stream in parts of that size, the last one shorter, numbered from 1."""
    number = 1
    part: Part = []
    room = size
    async for block in blocks:
        left = block
        while len(left) >= room:
            yield number, [*part, left[:room]]
            left = left[room:]
            number, part, room = number + 1, [], size
        if left:
            part.append(left)
            room -= len(left)
    if part:
        yield number, part


async def _each(part: Part) -> AsyncIterator[bytes]:
    for block in part:
        yield block


async def _same(part: Part, mark: PartMark | None) -> PartMark | None:
    """The mark of a part that has arrived, if this is it."""
    if mark is None or mark.size != sum(map(len, part)):
        return None
    digest = hashlib.md5(usedforsecurity=False)
    await asyncio.to_thread(_update, digest, part)
    return mark if digest.hexdigest() == mark.etag else None


def _update(digest: "hashlib._Hash", part: Part) -> None:
    for block in part:
        digest.update(block)


class _Whole:
    """The MD5 of a whole object, computed beside its parts where its ETag is one."""

    def __init__(self, etag: str) -> None:
        self._etag = etag
        self._digest = hashlib.md5(usedforsecurity=False) if is_md5(etag) else None

    def update(self, part: Part) -> asyncio.Future[None]:
        """Go on with the next part, in a thread; wait for that before the one after."""
        loop = asyncio.get_running_loop()
        if self._digest is None:
            done: asyncio.Future[None] = loop.create_future()
            done.set_result(None)
            return done
        return loop.run_in_executor(None, _update, self._digest, part)

    @property
    def is_right(self) -> bool:
        """Whether the bytes are those of the ETag, as far as that can be told."""
        return self._digest is None or self._digest.hexdigest() == self._etag
