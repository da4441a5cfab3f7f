"""Resumable uploads, as the stub of Google Cloud Storage takes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.stubs.gcs_bucket import Bucket, Item, Refusal, Resource

UNIT: Final = 256 * 1024
BYTES: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
QUESTION: Final = re.compile(r"bytes \*/(\d+|\*)")


@dataclass
class Upload:
    """One session. `item` is what it has become."""

    bucket: Bucket
    name: str
    told: Resource
    query: Mapping[str, str]
    kept: bytearray = field(default_factory=bytearray)
    item: Item | None = None
    ended: bool = False

    def put(self, place: str, body: bytes, hashes: str, keeps: int | None) -> Item | None:
        """Take bytes, of which the service may keep only some; the object after the last."""
        if self.ended:
            raise Refusal(410, "gone")
        if asked := QUESTION.fullmatch(place):
            if body:
                raise Refusal(400, "invalid", "a question has no body")
            return self._complete(asked[1], hashes)
        named = BYTES.fullmatch(place)
        if named is None:
            raise Refusal(400, "invalid", f"Content-Range {place!r}")
        self._require(int(named[1]), int(named[2]), named[3], body)
        self.kept += body[len(self.kept) - int(named[1]) :][:keeps]
        return self._complete(named[3], hashes) if keeps is None else None

    @property
    def range(self) -> dict[str, str]:
        """What is kept, as a header; there is none where nothing is."""
        return {"Range": f"bytes=0-{len(self.kept) - 1}"} if self.kept else {}

    def _require(self, first: int, last: int, total: str, body: bytes) -> None:
        """What is kept already is ignored when it comes again (Perform resumable uploads)."""
        if first > len(self.kept):
            raise Refusal(400, "invalid", f"{len(self.kept)} bytes are kept, {first} came")
        if last - first + 1 != len(body):
            raise Refusal(400, "invalid", "a body of another length")
        if total == "*" and len(body) % UNIT:
            raise Refusal(400, "invalid", "a chunk that is no multiple of 256 KiB")
        if total != "*" and last + 1 > int(total):
            raise Refusal(400, "invalid", "bytes behind the end")

    def _complete(self, total: str, hashes: str) -> Item | None:
        if self.item or total == "*" or len(self.kept) < int(total):
            return self.item
        self.told |= {"crc32c": hashes.removeprefix("crc32c=")} if hashes else {}
        try:
            self.item = self.bucket.store(self.name, bytes(self.kept), self.told, self.query)
        except Refusal:
            self.ended = True
            raise
        return self.item
