"""Multipart uploads as small objects in the bucket they belong to, under the reserved prefix.

An upload is one object with what it was begun with. A part is an empty object: all there is to
know of it stands in its key, so that one listing tells all parts. A part sent again is another
object, and the later one counts.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Final

from msgspec import json

from backends.bounded import bounded
from backends.clock import Clock
from backends.errors import NotFound, UploadNotFound
from backends.model import Facts, Part, Upload, Version
from backends.storage.protocol import ObjectStore
from backends.storage.reserved import RESERVED
from backends.storage.source import BytesSource

UPLOADS: Final = f"{RESERVED}uploads/"
PARTS: Final = f"{RESERVED}parts/"
UPLOAD: Final = json.Decoder(Upload)
PART: Final = json.Decoder(Part)
ENCODER: Final = json.Encoder()
AT_ONCE: Final = 16
BATCH: Final = 1000
SEGMENT: Final = 200  # what lies below on a file system takes 255 bytes between two slashes


class UploadRecords:
    """Reads and writes the records."""

    def __init__(self, store: ObjectStore, clock: Clock, site: str) -> None:
        self._store = store
        self._clock = clock
        self._site = site

    async def create(self, upload: Upload) -> None:
        """BucketNotFound."""
        await self._write(upload.bucket, UPLOADS + upload.name, ENCODER.encode(upload))

    async def find(self, bucket: str, key: str, name: str) -> Upload:
        """UploadNotFound."""
        upload = await self._read(bucket, name)
        if upload is None or upload.key != key:
            raise UploadNotFound(f"{bucket}/{key}: there is no upload {name}")
        return upload

    async def all(self, bucket: str) -> list[Upload]:
        """By key, those of one key by name. BucketNotFound."""
        names = [name async for name in self.names(bucket)]
        found = await bounded(lambda name: self._read(bucket, name), names, at_once=AT_ONCE)
        return sorted(
            (upload for upload in found if upload),
            key=lambda upload: (upload.key.encode(), upload.name),
        )

    async def names(self, bucket: str) -> AsyncIterator[str]:
        """The names of a bucket's uploads, the oldest first."""
        async for stored in self._store.listing(bucket, prefix=UPLOADS):
            yield stored.key.removeprefix(UPLOADS)

    async def put_part(self, bucket: str, key: str, name: str, part: Part) -> None:
        """UploadNotFound: then no record of the part is left."""
        text = urlsafe_b64encode(ENCODER.encode(part)).decode()
        place = f"{_parts_of(name)}{part.number:05}/{self._clock.stamp():016x}/{_cut(text)}"
        await self._write(bucket, place, b"")
        try:
            await self.find(bucket, key, name)
        except UploadNotFound:
            await self._store.delete(bucket, place)
            raise

    async def parts(self, bucket: str, name: str, *, after: int, limit: int) -> list[Part]:
        """Parts with numbers above `after`."""
        parts: dict[int, Part] = {}
        prefix = _parts_of(name)
        async for stored in self._store.listing(
            bucket, prefix=prefix, after=f"{prefix}{after:05}0"
        ):
            text = stored.key.removeprefix(prefix).split("/", 2)[2].replace("/", "")
            part = PART.decode(urlsafe_b64decode(text))
            if part.number not in parts and len(parts) == limit:
                break
            parts[part.number] = part
        return list(parts.values())

    async def delete(self, bucket: str, name: str) -> None:
        """Remove the upload's record, then those of its parts."""
        await self._store.delete(bucket, UPLOADS + name)
        batch: list[str] = []
        async for stored in self._store.listing(bucket, prefix=_parts_of(name)):
            batch.append(stored.key)
            if len(batch) == BATCH:
                await self._store.delete_many(bucket, batch)
                batch = []
        await self._store.delete_many(bucket, batch)

    async def _read(self, bucket: str, name: str) -> Upload | None:
        try:
            body = await self._store.get(bucket, UPLOADS + name)
        except NotFound:
            return None
        return UPLOAD.decode(b"".join([block async for block in body]))

    async def _write(self, bucket: str, key: str, data: bytes) -> None:
        facts = Facts(Version(self._clock.stamp(), self._site), len(data))
        await self._store.put(bucket, key, BytesSource(data, facts))


def _parts_of(name: str) -> str:
    return f"{PARTS}{name}/"


def _cut(text: str) -> str:
    return "/".join(text[at : at + SEGMENT] for at in range(0, len(text), SEGMENT))
