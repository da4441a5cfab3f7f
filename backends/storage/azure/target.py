"""Where a write goes, and whether it got there."""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any

from azure.storage.blob.aio import BlobClient

from backends.errors import NotFound, PreconditionFailed
from backends.model import Facts
from backends.storage.azure.attributes import MARK, metadata_of
from backends.storage.azure.blocks import new_token
from backends.storage.azure.conditions import to_replace
from backends.storage.azure.errors import translated


@dataclass(frozen=True, slots=True)
class Target:
    """The blob that a write is to make, and what it must find there: `condition`.

    The client, and HTTP below it, send a call again when no answer came. The second of two calls
    on a condition finds what the first has written and is refused, so such a write bears a `mark`
    by which it knows its own.
    """

    blob: BlobClient
    subject: str
    condition: dict[str, Any]
    mark: str

    @classmethod
    def of(cls, blob: BlobClient, subject: str, replacing: str | None) -> "Target":
        condition = to_replace(replacing)
        return cls(blob, subject, condition, new_token() if condition else "")

    def vacated(self) -> "Target":
        """The same target when what was there is gone: nothing may have come in its place."""
        return replace(self, condition=to_replace("") if self.condition else {})

    def metadata(self, facts: Facts) -> dict[str, str]:
        """What a blob carries that this write makes."""
        return metadata_of(facts) | ({MARK: self.mark} if self.mark else {})

    async def settled(self, write: Awaitable[str]) -> str:
        """The ETag that the write answers, or has written when a repetition of it is refused."""
        try:
            return await write
        except PreconditionFailed:
            if not (etag := await self._written()):
                raise
            return etag

    async def _written(self) -> str:
        """The ETag of what is there, if this write made it."""
        try:
            with translated(self.subject):
                there = await self.blob.get_blob_properties()
        except NotFound:
            return ""
        ours = self.mark and (there.metadata or {}).get(MARK) == self.mark
        return str(there.etag).strip('"') if ours else ""
