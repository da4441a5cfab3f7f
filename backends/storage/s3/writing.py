"""Bodies on their way to an S3 endpoint: in one request, or as the parts of an upload."""

import base64
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from hashlib import md5

from backends.bounded import windowed
from backends.errors import (
    Corrupt,
    InvalidPart,
    NotFound,
    PreconditionFailed,
    Refused,
    UploadNotFound,
)
from backends.model import Facts
from backends.storage.http1 import Response, Stream
from backends.storage.protocol import Source, Stored, StoredPart
from backends.storage.s3.attributes import headers_of
from backends.storage.s3.bodies import Cut, Digested, next_block, read, spooled
from backends.storage.s3.client import Client
from backends.storage.s3.connection import body_of
from backends.storage.s3.options import S3Options
from backends.storage.s3.receipts import MD5, Counted, Receipts, crc_of, etag_of
from backends.storage.s3.sealing import Seals
from backends.storage.s3.uploads import LEAST_PART, MOST_PARTS, Uploads
from backends.threads import in_thread


class Writing:
    """Puts objects and parts. Bodies above `part_bytes`, or of unknown length, go in parts."""

    def __init__(self, client: Client, uploads: Uploads, seals: Seals, options: S3Options) -> None:
        self._client = client
        self._uploads = uploads
        self._seals = seals
        self._part_bytes = max(options.part_bytes, LEAST_PART)
        self._at_once = options.parts_at_once
        self._md5 = options.etags_are_md5
        self._receipts = Receipts(etags_are_md5=options.etags_are_md5)

    @property
    def checks_up_to(self) -> int:
        """As Capabilities has it."""
        return self._part_bytes if self._receipts.tell_crc else 0

    async def put(
        self, bucket: str, key: str, source: Source, condition: Mapping[str, str]
    ) -> Stored:
        """As ObjectStore.put."""
        blocks = aiter(source)
        first = await next_block(blocks)
        if not first or source.size == len(first):
            await next_block(blocks)  # its end: what is left open costs a task to close it
            return await self._put_block(bucket, key, first, source.facts, condition)
        cut = Cut(blocks, first)
        if source.size is None:
            return await self._put_of_unknown_length(bucket, key, cut, source, condition)
        put = self._put_stream if source.size <= self._part_bytes else self._put_in_parts
        early = source.facts
        stored = await put(bucket, key, cut, source, condition)
        await self._seals.write(bucket, key, early, stored.facts)
        return stored

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        """As ObjectStore.put_part: the part's ETag."""

        def computed() -> str:
            return source.facts.etag

        try:
            if source.size is not None:
                part = self._part(bucket, key, upload, number, aiter(source), source.size, computed)
                return await part
            async with spooled(aiter(source)) as (file, size):
                return await self._part(bucket, key, upload, number, read(file), size, computed)
        except UploadNotFound as error:
            raise InvalidPart(f"{bucket}/{key}: the storage has no such upload") from error

    async def _put_block(
        self, bucket: str, key: str, block: bytes, facts: Facts, condition: Mapping[str, str]
    ) -> Stored:
        """Facts of one block are complete: the endpoint checks the digest, then keeps it."""
        headers = {**headers_of(facts), **condition}
        if MD5.fullmatch(facts.etag):
            headers["content-md5"] = base64.b64encode(bytes.fromhex(facts.etag)).decode()
        connection = await self._client.connection()
        async with await connection.send(
            "PUT", bucket, key, headers=headers, body=block, repeatable=not condition
        ) as answer:
            stored = Stored(key, len(block), etag_of(answer), facts)
            if "content-md5" not in headers and self._receipts.told_crc:
                await self._require_received(bucket, stored, answer, crc_of(block))
            self._receipts.learn(answer)
            return stored

    async def _put_stream(
        self, bucket: str, key: str, cut: Cut, source: Source, condition: Mapping[str, str]
    ) -> Stored:
        size = source.size or 0
        headers = {**headers_of(source.facts), **condition}
        connection = await self._client.connection()
        counted = Counted(cut.piece(size), enabled=self._receipts.told_crc)
        body = Stream(aiter(counted), size)
        async with await connection.send("PUT", bucket, key, headers=headers, body=body) as answer:
            stored = Stored(key, size, etag_of(answer), source.facts)
            await self._require_received(bucket, stored, answer, counted.crc)
            self._receipts.learn(answer)
        return stored

    async def _require_received(
        self, bucket: str, stored: Stored, answer: Response, crc: int | None
    ) -> None:
        """Corrupt, and the object is dropped, where the storage received other bytes.

        Where its answer does not tell, as it did before, the bytes are read back.
        """
        facts = stored.facts
        differ = self._receipts.differ(answer, facts.etag, crc)
        if differ is None and crc is not None and not facts.etag:
            differ = await self._differs_there(bucket, stored, crc)
        if differ:
            await self._drop(bucket, stored.key)
            sent = facts.etag or "what was sent"
            raise Corrupt(
                f"{bucket}/{stored.key}: the storage received {stored.locator}, not {sent}"
            )

    async def _differs_there(self, bucket: str, stored: Stored, crc: int) -> bool:
        """Whether the stored bytes, unless they are gone already, have another CRC."""
        connection = await self._client.connection()
        headers = {"if-match": f'"{stored.locator}"'}
        try:
            answer = await connection.send("GET", bucket, stored.key, headers=headers)
        except (NotFound, PreconditionFailed):
            return False
        found = 0
        async with aclosing(await body_of(answer, f"{bucket}/{stored.key}")) as blocks:
            async for block in blocks:
                found = crc_of(block, found)
        return found != crc

    async def _put_of_unknown_length(
        self, bucket: str, key: str, cut: Cut, source: Source, condition: Mapping[str, str]
    ) -> Stored:
        """In one request where it ends below a part, for then all is known of it."""
        first = await cut.gathered(LEAST_PART)
        if len(first) < LEAST_PART:
            return await self._put_block(bucket, key, first, source.facts, condition)
        cut.put_back(first)
        del first
        early = source.facts
        stored = await self._put_in_parts(bucket, key, cut, source, condition)
        await self._seals.write(bucket, key, early, stored.facts)
        return stored

    async def _put_in_parts(
        self, bucket: str, key: str, cut: Cut, source: Source, condition: Mapping[str, str]
    ) -> Stored:
        upload = await self._uploads.create(bucket, key, source.facts)
        try:
            if source.size is None:
                parts = await self._parts_of_unknown_length(bucket, key, upload, cut)
            else:
                parts = await self._parts_of(bucket, key, upload, cut, source.size)
            etag = await self._uploads.complete(bucket, key, upload, parts, condition)
        except BaseException:
            await self._uploads.give_up(bucket, key, upload)
            raise
        return Stored(key, sum(part.size for part in parts), etag, source.facts)

    async def _parts_of(
        self, bucket: str, key: str, upload: str, cut: Cut, size: int
    ) -> list[StoredPart]:
        """Parts that stream through, one after the other: none is held."""
        parts: list[StoredPart] = []
        step = max(self._part_bytes, -(-size // MOST_PARTS))
        for number, at in enumerate(range(0, size, step), start=1):
            length = min(step, size - at)
            digest = Digested(cut.piece(length), enabled=self._md5)
            part = self._part(bucket, key, upload, number, aiter(digest), length, digest.md5)
            etag = await part
            parts.append(StoredPart(number, etag, length))
        return parts

    async def _parts_of_unknown_length(
        self, bucket: str, key: str, upload: str, cut: Cut
    ) -> list[StoredPart]:
        """Parts of the least size, few at a time in memory, for a request must say its length."""

        async def send(numbered: tuple[int, bytes]) -> StoredPart:
            number, piece = numbered
            if number > MOST_PARTS:
                raise Refused(f"{bucket}/{key}: too long for a body that does not say its length")
            connection = await self._client.connection()
            query = [("partNumber", str(number)), ("uploadId", upload)]
            headers = {"content-md5": await in_thread(content_md5, [piece])}
            async with await connection.send(
                "PUT", bucket, key, query=query, headers=headers, body=piece
            ) as answer:
                return StoredPart(number, etag_of(answer), len(piece))

        async with aclosing(cut.pieces(LEAST_PART)) as pieces:
            return await windowed(send, pieces, at_once=self._at_once)

    async def _part(
        self,
        bucket: str,
        key: str,
        upload: str,
        number: int,
        blocks: AsyncIterator[bytes],
        size: int,
        computed: Callable[[], str],
    ) -> str:
        """Send a part; its ETag. `computed` is the MD5 of what was sent, known in the end."""
        connection = await self._client.connection()
        query = [("partNumber", str(number)), ("uploadId", upload)]
        body: bytes | Stream = Stream(blocks, size)
        if not size:
            body = b"".join([block async for block in blocks])
        async with await connection.send("PUT", bucket, key, query=query, body=body) as answer:
            etag = etag_of(answer)
            if self._receipts.differ(answer, computed()):
                raise Corrupt(f"{bucket}/{key}: the storage received {etag}, not {computed()}")
            return etag

    async def _drop(self, bucket: str, key: str) -> None:
        connection = await self._client.connection()
        async with await connection.send("DELETE", bucket, key):
            return


def content_md5(held: list[bytes]) -> str:
    """The header's value for the only bytes of the list, which is empty then.

    The thread that computes it may keep its arguments a while longer than the bytes are needed.
    """
    digest = md5(held.pop(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


@contextmanager
def conditional(condition: Mapping[str, str], subject: str) -> Iterator[None]:
    """Where there is nothing that could match, S3 answers that there is nothing."""
    try:
        yield
    except NotFound as error:
        if "if-match" in condition and type(error) is NotFound:
            raise PreconditionFailed(f"{subject} was deleted meanwhile") from error
        raise


def condition_of(replacing: str | None) -> dict[str, str]:
    """The header by which a write happens only while `replacing` names what is at the key."""
    if replacing is None:
        return {}
    return {"if-match": f'"{replacing}"'} if replacing else {"if-none-match": "*"}
