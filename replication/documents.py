"""Facts that are no objects, kept as rows of a bucket that no client reaches.

So they have versions, tombstones and events like any object, and travel between sites like one. A
document is JSON in the row's metadata; the storage holds nothing of it.
"""

from collections.abc import AsyncIterator
from hashlib import md5
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import MsgspecError, json

from backends.errors import BackendError, Corrupt, NotFound
from backends.model import UNCONDITIONAL, Bucket, Event, Facts, Precondition, Row, Version
from backends.state.protocol import StateStore

SHARED: Final = ".ccs"
OWN: Final = ".ccs.local"
SYSTEM: Final = frozenset({SHARED, OWN})
OWNER: Final = ".ccs"
FIELD: Final = "json"
LEASE: Final = 30_000
PAGE: Final = 500
PUT: Final = "ObjectCreated:Put"
REMOVED: Final = "ObjectRemoved:Delete"

T = TypeVar("T")
D = TypeVar("D")


class Document(NamedTuple):
    """`text` is JSON, `etag` what a change can be made dependent on."""

    name: str
    text: bytes
    etag: str
    version: Version

    def value(self, kind: type[T]) -> T:
        """The document as such a value. Corrupt where it is another thing."""
        try:
            return json.decode(self.text, type=kind)
        except MsgspecError as error:
            raise Corrupt(f"the document {self.name} is no {kind.__name__}: {error}") from error


class Documents:
    """The documents of one system bucket: SHARED by all sites, or this site's OWN."""

    def __init__(self, state: StateStore, bucket: str = SHARED) -> None:
        self._state = state
        self.bucket = bucket

    async def prepare(self) -> None:
        """Make the bucket, unless it is there."""
        await self._state.create_bucket(Bucket(self.bucket, OWNER, 0))

    async def find(self, name: str) -> Document:
        """NotFound."""
        return _document(await self._state.find(self.bucket, name))

    async def has(self, name: str) -> bool:
        """Whether there is such a document."""
        try:
            await self._state.find(self.bucket, name)
        except NotFound:
            return False
        return True

    async def read(self, name: str, kind: type[T]) -> T:
        """The document as such a value. NotFound."""
        return (await self.find(name)).value(kind)

    async def put(
        self, name: str, value: Any, *, condition: Precondition = UNCONDITIONAL
    ) -> Document:
        """Write a value in the place of what is there. PreconditionFailed as the condition says."""
        text = json.encode(value)
        row = await self._write(name, text, condition)
        return Document(name, text, row.facts.etag, row.version)

    async def drop(self, name: str) -> bool:
        """Remove it; whether it was there."""
        if not await self.has(name):
            return False
        await self._write(name, None, UNCONDITIONAL)
        return True

    async def _write(self, name: str, text: bytes | None, condition: Precondition) -> Row:
        """Write it, or its tombstone. Others hear only of what is SHARED."""
        intent = await self._state.begin(self.bucket, name, lease=LEASE, condition=condition)
        facts = Facts(intent.version) if text is None else facts_of(text, intent.version)
        row = Row(self.bucket, name, facts, deleted=text is None)
        change = REMOVED if text is None else PUT
        event = Event(change, self.bucket, name, row.version, facts.size, facts.etag)
        try:
            await self._state.commit(
                row,
                event if self.bucket == SHARED else None,
                intent=intent,
                condition=condition,
                overwrote=True,
            )
        except BackendError:
            await self._state.drop_intent(intent)
            raise
        return row

    async def under(self, prefix: str) -> list[Document]:
        """All whose names begin so, by name."""
        return [document async for document in self.each(prefix)]

    async def each(self, prefix: str) -> AsyncIterator[Document]:
        """The same, page by page."""
        after = prefix
        while rows := await self._state.inventory(self.bucket, after=after, limit=PAGE):
            for row in rows:
                if not row.key.startswith(prefix):
                    return
                if not row.deleted:
                    yield _document(row)
            after = rows[-1].key

    async def values(self, prefix: str, kind: type[T]) -> list[T]:
        """All under the prefix, as such values."""
        return [found.value(kind) for found in await self.under(prefix)]

    async def apply(self, name: str, facts: Facts) -> bool:
        """Write what another site wrote, under its version; False where a newer one is here."""
        return await self._apply(Row(self.bucket, name, facts))

    async def bury(self, name: str, version: Version) -> bool:
        """Remove it as another site did, under its version; False where a newer one is here."""
        return await self._apply(Row(self.bucket, name, Facts(version), deleted=True))

    async def _apply(self, row: Row) -> bool:
        return (await self._state.commit(row, None, overwrote=True)).won


def facts_of(text: bytes, version: Version) -> Facts:
    """What a document's row carries."""
    return Facts(
        version=version,
        size=len(text),
        etag=md5(text, usedforsecurity=False).hexdigest(),
        owner=OWNER,
        metadata={FIELD: text.decode()},
    )


async def value_at(documents: Documents, name: str, kind: type[T], default: D) -> T | D:
    """The document as such a value; the default where there is none."""
    try:
        return await documents.read(name, kind)
    except NotFound:
        return default


def _document(row: Row) -> Document:
    text = row.facts.metadata.get(FIELD, "null").encode()
    return Document(row.key, text, row.facts.etag, row.version)
