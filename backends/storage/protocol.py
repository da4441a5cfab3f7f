"""What a storage must do. A driver never sees XML, HTTP, owners or policies."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from backends.model import Facts, Version


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can and cannot do, as data; the gateway and the tests read the same facts.

    `keeps_replaced`: a put leaves the bytes it replaces readable by their locator until they are
    deleted, so that a writer who loses a race has destroyed nothing. A driver without it
    overwrites in place.
    """

    keeps_replaced: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What a storage holds at a key.

    `locator` names exactly these bytes and no later ones. `facts` is None where the bytes were
    not written by this system.
    """

    key: str
    size: int
    locator: str
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part to be joined into an object: `token` is what `put_part` answered, `size` bytes."""

    number: int
    token: str
    size: int


class Source(Protocol):
    """Bytes on their way into a storage, with the facts they will carry.

    Iterated once. `facts` are complete when the iterator has ended (size, ETag, checksum); before
    that they hold what the request said. An error raised by the iterator means that the bytes are
    wrong or the client is gone: the driver lets it pass and keeps nothing.
    """

    @property
    def size(self) -> int | None:
        """Bytes to come, or None where only the end will tell."""

    @property
    def facts(self) -> Facts: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class ObjectStore(Protocol):
    """Moves bytes. Every method raises only `backends.errors`.

    Bodies are streams: nothing holds an object whole. Any key of 1 to 1,024 bytes of UTF-8 is a
    name like any other. What is written is durable when the call returns.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    async def ping(self) -> None:
        """Return if the storage answers; Unavailable says why not."""

    async def create_bucket(self, bucket: str) -> None:
        """Make the bucket; one of ours that is there already is no error."""

    async def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket. BucketNotFound, NotEmpty."""

    def buckets(self) -> AsyncIterator[str]:
        """The names of all buckets, in order."""

    async def put(self, bucket: str, key: str, source: Source) -> Stored:
        """Store the bytes, all or nothing. BucketNotFound, NoSpace, Unavailable."""

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes from `start`, `length` of them or to the end; close the generator when done.

        NotFound is raised here, before the first byte: also where `locator` names bytes that are
        no longer the ones at the key. Without a locator: the newest.
        """

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        """What lies at the key: the newest, or what was written as `version`. NotFound."""

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        """Remove the bytes the locator names, or without one all at the key.

        What is not there, or is another thing by now, is no error.
        """

    async def copy(
        self, bucket: str, key: str, locator: str, to_bucket: str, to_key: str, facts: Facts
    ) -> Stored:
        """Copy the bytes the locator names under new facts, in the storage itself. NotFound."""

    def listing(self, bucket: str, *, prefix: str = "", after: str = "") -> AsyncIterator[Stored]:
        """The newest of each key above `after`, in the order of the keys' UTF-8 bytes."""

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        """Begin a multipart upload; the storage's own token for it."""

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        """Store one part; a token for exactly these bytes. The same number may come again."""

    async def complete_upload(
        self, bucket: str, key: str, upload: str, parts: Sequence[StoredPart], facts: Facts
    ) -> Stored:
        """Join the parts into one object, all or nothing; the upload ends. InvalidPart."""

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """Drop the upload and its parts; one that is not there is no error."""

    async def sweep(self) -> int:
        """Remove what crashed writers left behind; how many things that was."""

    async def close(self) -> None:
        """Let go of files and connections."""
