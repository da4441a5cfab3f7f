"""The ObjectStore on local disk.

Keys never touch the file system: the catalog holds them, and a locator is a number of its own.
Small bodies lie in the catalog, large ones in segment files. A write is visible when its catalog
row is committed, and not before.
"""

import secrets
import sqlite3
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from backends.database import Database
from backends.errors import BackendError, BucketNotFound, NotFound
from backends.model import Bucket, Facts, Version
from backends.ranges import key_range
from backends.storage.local import catalog
from backends.storage.local.catalog import Piece, Place, stored_of
from backends.storage.local.reading import Extent, at_hand, read
from backends.storage.local.schema import MIGRATIONS
from backends.storage.local.segments import Incoming, Segments
from backends.storage.looking import fetch_after_head
from backends.storage.protocol import Capabilities, Fetched, Source, Stored, StoredPart
from backends.threads import acquired, in_thread

INLINE: Final = 16 * 1024
PAGE: Final = 500
T = TypeVar("T")
OF_KEY: Final = "WHERE bucket = ? AND key = ?"
BUCKET: Final = "SELECT name, owner, created, region FROM buckets"


class LocalStore:
    """Objects below one folder, shared by any number of processes."""

    def __init__(self, root: Path, *, durable: bool, keeps_replaced: bool) -> None:
        self.capabilities = Capabilities(keeps_replaced=keeps_replaced, catalogued=True)
        self._segments = Segments(root, durable=durable)
        self._catalog = Database(root / "catalog.db", MIGRATIONS, durable=durable)

    @classmethod
    def open(cls, root: Path, *, durable: bool = True, keeps_replaced: bool = True) -> "LocalStore":
        """Open or make the folder. Blocks. Without `durable` a power cut may lose writes.

        Without `keeps_replaced` a new object takes the place of the old one at once, as on other
        storages: for gateways that have no state to remember replaced bytes by.
        """
        return cls(root, durable=durable, keeps_replaced=keeps_replaced)

    async def ping(self) -> None:
        self._catalog.ping()

    async def create_bucket(self, bucket: Bucket) -> None:
        await self._catalog.write(lambda connection: catalog.create_bucket(connection, bucket))

    async def delete_bucket(self, bucket: str) -> None:
        await self._write_and_remove(lambda connection: catalog.delete_bucket(connection, bucket))

    async def find_bucket(self, bucket: str) -> Bucket:
        found = self._catalog.read(f"{BUCKET} WHERE name = ?", (bucket,))
        if not found:
            raise BucketNotFound(f"the storage has no bucket {bucket}")
        return Bucket(*found[0])

    async def buckets(self) -> AsyncIterator[Bucket]:
        for record in self._catalog.read(f"{BUCKET} ORDER BY name"):
            yield Bucket(*record)

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        self._require_bucket(bucket)
        piece, incoming = await self._receive(source)
        facts = source.facts
        place = self._place(bucket, key, replacing)
        stored, trash = await self._publish(
            incoming, lambda connection: catalog.add_object(connection, place, facts, [piece])
        )
        await self._remove(trash)
        return stored

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        chosen = " AND id = ?" if locator else ""
        found = self._catalog.read(
            f"SELECT id, size, body FROM objects {OF_KEY}{chosen}"
            " ORDER BY stamp DESC, site DESC LIMIT 1",
            (bucket, key, *([locator] if locator else [])),
        )
        if not found:
            raise NotFound(f"the storage has no bytes {locator} at {bucket}/{key}")
        number, size, body = found[0]
        end = size if length is None else min(size, start + length)
        if body is not None:
            return at_hand(body[start:end])
        extents = self._extents(number, start, end)
        if sum(extent.length for extent in extents) < end - start:
            raise NotFound(f"the bytes {number} at {bucket}/{key} were deleted just now")
        return await read(self._segments, extents)

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        chosen = " AND stamp = ? AND site = ?" if version else ""
        found = self._catalog.read(
            f"SELECT id, size, facts FROM objects {OF_KEY}{chosen}"
            " ORDER BY stamp DESC, site DESC, id DESC LIMIT 1",
            (bucket, key, *((version.stamp, version.site) if version else ())),
        )
        if not found:
            raise NotFound(f"the storage has nothing of that version at {bucket}/{key}")
        return stored_of(key, found[0])

    async def fetch(self, bucket: str, key: str) -> Fetched:
        return await fetch_after_head(self, bucket, key)

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        await self._write_and_remove(
            lambda connection: catalog.delete_object(connection, bucket, key, locator)
        )

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        await self._write_and_remove(
            lambda connection: [
                segment
                for key in keys
                for segment in catalog.delete_object(connection, bucket, key, "")
            ]
        )

    async def copy(
        self,
        bucket: str,
        key: str,
        locator: str,
        to_bucket: str,
        to_key: str,
        facts: Facts,
        *,
        replacing: str | None = None,
    ) -> Stored:
        source = (bucket, key, locator)
        place = self._place(to_bucket, to_key, replacing)
        await self._require_files(locator)
        stored, trash = await self._catalog.write(
            lambda connection: catalog.copy_object(connection, source, place, facts)
        )
        await self._remove(trash)
        return stored

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        self._require_bucket(bucket)
        left = sys.maxsize if most is None else most
        while page := self._page(bucket, prefix, after, min(PAGE, left)):
            for record in page:
                yield stored_of(record[0], record[1:])
            after = page[-1][0]
            left -= len(page)

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        del key, facts
        self._require_bucket(bucket)
        return secrets.token_hex(16)

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        del key, number
        self._require_bucket(bucket)
        piece, incoming = await self._receive(source)
        token = secrets.token_hex(16)
        await self._publish(
            incoming,
            lambda connection: catalog.add_part(connection, bucket, upload, token, piece),
        )
        return token

    async def complete_upload(
        self,
        bucket: str,
        key: str,
        upload: str,
        parts: Sequence[StoredPart],
        facts: Facts,
        *,
        replacing: str | None = None,
    ) -> Stored:
        place = self._place(bucket, key, replacing)
        stored, trash = await self._catalog.write(
            lambda connection: catalog.complete(connection, place, upload, parts, facts)
        )
        await self._remove(trash)
        return stored

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        del key
        await self._write_and_remove(
            lambda connection: catalog.drop_parts(connection, bucket, upload)
        )

    async def sweep(self) -> int:
        trash = [segment for (segment,) in self._catalog.read("SELECT segment FROM trash")]
        await self._remove(trash)
        return len(trash) + await in_thread(self._segments.sweep, self._is_known)

    async def close(self) -> None:
        await self._catalog.close()

    async def _receive(self, source: Source) -> tuple[Piece, Incoming | None]:
        """Take the body in: a small one into memory, another into a segment nobody sees yet."""
        blocks = aiter(source)
        first: list[bytes] = []
        size = 0
        async for block in blocks:
            first.append(block)
            size += len(block)
            if size > INLINE:
                incoming = await self._receive_file(b"".join(first), blocks)
                return Piece(incoming.size, incoming.name), incoming
        return Piece(size, None, b"".join(first)), None

    async def _receive_file(self, first: bytes, blocks: AsyncIterator[bytes]) -> Incoming:
        incoming = await acquired(self._segments.create, self._segments.abandon)
        try:
            await in_thread(self._segments.write, incoming, first)
            async for block in blocks:
                await in_thread(self._segments.write, incoming, block)
            await in_thread(self._segments.sync, incoming)
        except BaseException:
            self._segments.abandon(incoming)
            raise
        return incoming

    async def _publish(
        self, incoming: Incoming | None, write: Callable[[sqlite3.Connection], T]
    ) -> T:
        """Commit the catalog's write, then move the segment to its place."""
        if incoming is None:
            return await self._catalog.write(write)
        try:
            result = await self._catalog.write(write)
        except BackendError:
            self._segments.abandon(incoming)
            raise
        except BaseException:
            self._segments.leave(incoming)
            raise
        await in_thread(self._segments.publish, incoming)
        return result

    async def _write_and_remove(self, write: Callable[[sqlite3.Connection], list[str]]) -> None:
        await self._remove(await self._catalog.write(write))

    async def _remove(self, segments: list[str]) -> None:
        """Remove files, then forget them; what a crash interrupts, a sweep finishes."""
        if not segments:
            return
        await in_thread(self._segments.remove, segments)
        names = [(segment,) for segment in segments]
        await self._catalog.write(
            lambda connection: (
                connection.executemany("DELETE FROM trash WHERE segment = ?", names).rowcount
            ),
            durable=False,
        )

    async def _require_files(self, number: str) -> None:
        """Return if the segments of the object are on the disk. NotFound."""
        found = self._catalog.read(
            "SELECT DISTINCT segment FROM pieces WHERE object = ? AND segment IS NOT NULL",
            (number,),
        )
        if found:
            await in_thread(self._segments.require, [segment for (segment,) in found])

    def _extents(self, number: int, start: int, end: int) -> list[Extent]:
        """What of which pieces lies between two places of the object."""
        found = self._catalog.read(
            "SELECT start, size, segment, body FROM pieces WHERE object = ? AND start < ?"
            " AND start >= (SELECT max(start) FROM pieces WHERE object = ? AND start <= ?)"
            " ORDER BY start",
            (number, end, number, start),
        )
        return [
            Extent(segment, body, max(start - at, 0), min(end, at + size) - max(start, at))
            for at, size, segment, body in found
        ]

    def _page(self, bucket: str, prefix: str, after: str, limit: int) -> list[tuple[Any, ...]]:
        condition, parameters = key_range(prefix, after)
        return self._catalog.read(
            "SELECT key, id, size, facts, max(printf('%016x-%s', stamp, site)) FROM objects"
            f" WHERE bucket = ? AND {condition} GROUP BY key ORDER BY key LIMIT ?",
            (bucket, *parameters, limit),
        )

    def _place(self, bucket: str, key: str, replacing: str | None) -> Place:
        return Place(bucket, key, replacing, self.capabilities.keeps_replaced)

    def _is_known(self, segment: str) -> bool:
        return bool(
            self._catalog.read(
                "SELECT 1 FROM pieces WHERE segment = ?"
                " UNION ALL SELECT 1 FROM parts WHERE segment = ?",
                (segment, segment),
            )
        )

    def _require_bucket(self, bucket: str) -> None:
        if not self._catalog.read("SELECT 1 FROM buckets WHERE name = ?", (bucket,)):
            raise BucketNotFound(f"the storage has no bucket {bucket}")
