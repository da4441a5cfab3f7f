"""What a storage must do. A driver never sees XML, HTTP, owners or policies."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from backends.model import Bucket, Facts, Version


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can and cannot do, as data; the gateway and the tests read the same facts.

    `keeps_replaced`: a put leaves the bytes it replaces readable by their locator until they are
    deleted, so that a writer who loses a race has destroyed nothing. A driver without it
    overwrites in place: writers of one key must take turns.
    `conditional`: writes honour `replacing`, atomically; without it they raise NotSupported.
    `lists_facts`: a listing tells all that head does; without it only size, ETag and time.
    `etag_is_locator`: the storage has ETags of its own, seen in listings: they are the locators.
    `catalogued`: it lists what its catalog says, not what can be read.
    `least_part`: bytes that a part needs, unless it is the last.
    `checks_up_to`: bodies of known length, up to so many bytes, are checked by what the storage
    says it received, whether their facts have an ETag or not. A driver may learn it as it goes.
    """

    keeps_replaced: bool
    conditional: bool = True
    lists_facts: bool = True
    etag_is_locator: bool = False
    catalogued: bool = False
    least_part: int = 1
    checks_up_to: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What a storage holds at a key.

    `locator` names exactly these bytes and no later ones. Where the bytes were not written by this
    system `facts` tell what the storage knows: size, content headers, metadata, an ETag, and the
    time of the last change as a version of no site. `modified` is when the storage itself says
    that the bytes changed, in milliseconds, where its listings tell nothing else. `md5` is that of
    the bytes, where it has computed one itself: programs that replace bytes may keep our facts.
    """

    key: str
    size: int
    locator: str
    facts: Facts
    modified: int = 0
    md5: str = field(default="", compare=False)

    @property
    def ours(self) -> bool:
        """Whether this system wrote the bytes, as far as the storage tells here."""
        return bool(self.facts.version.site)


class Fetched(NamedTuple):
    """What lies at a key, and all of its bytes; close the body when done."""

    stored: Stored
    body: AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part to be joined into an object: `token` is what `put_part` answered, `size` bytes."""

    number: int
    token: str
    size: int


class Source(Protocol):
    """Bytes on their way into a storage, with the facts they will carry.

    Iterated once. `facts` are complete when the last block is handed out (version, size, ETag,
    checksum), so those of a single block are complete with it; before that they hold what the
    request said. Look at them after the first block, not before. An error raised by the iterator
    means that the bytes are wrong or the client is gone: the driver lets it pass and keeps nothing.
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

    async def create_bucket(self, bucket: Bucket) -> None:
        """Make the bucket, with its owner and region beside it; one that is there stays as it is.

        AlreadyExists where the name is another account's; InvalidName.
        """

    async def find_bucket(self, bucket: str) -> Bucket:
        """The bucket, with no owner where it was not made by this system. BucketNotFound."""

    async def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket. BucketNotFound, NotEmpty."""

    def buckets(self) -> AsyncIterator[Bucket]:
        """All buckets, by name; owners as find_bucket tells them may be left out."""

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        """Store the bytes, all or nothing. BucketNotFound, NoSpace, Unavailable.

        With `replacing`, here and below, only while that locator names the bytes at the key, or
        nothing is there where it is "": PreconditionFailed.
        """

    async def get(
        self, bucket: str, key: str, locator: str = "", *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes from `start`, `length` of them or to the end; close the generator when done.

        NotFound is raised here, before the first byte: also where `locator` names bytes that are
        no longer the ones at the key. Without a locator: the newest.
        """

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        """What lies at the key: the newest, or what was written as `version`. NotFound."""

    async def fetch(self, bucket: str, key: str) -> Fetched:
        """What head tells of the newest, and all that get hands out, of the same bytes. NotFound.

        It takes one request where the storage tells with the bytes what it tells without them.
        """

    async def delete(self, bucket: str, key: str, locator: str = "") -> None:
        """Remove the bytes the locator names, or without one all at the key.

        What is not there, or is another thing by now, is no error.
        """

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        """Remove all that is at these keys, up to 1,000 of them."""

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
        """Copy the bytes the locator names under new facts, in the storage itself. NotFound."""

    def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        """The newest of each key above `after`, in the order of the keys' UTF-8 bytes.

        No more than `most` of them are wanted. BucketNotFound.
        """

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        """Begin a multipart upload under the facts its object will have, as far as they are known.

        The storage's own token for it, up to 1,000 ASCII characters.
        """

    async def put_part(
        self, bucket: str, key: str, upload: str, number: int, source: Source
    ) -> str:
        """Store one part; a token for exactly these bytes. The same number may come again.

        The token has up to 200 ASCII characters. BucketNotFound; UploadNotFound or, later,
        InvalidPart where there is no such upload.
        """

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
        """Join the parts into one object, all or nothing; the upload ends. InvalidPart.

        A completion that comes again is refused with InvalidPart, or answered as before.
        """

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """Drop the upload and its parts; one that is not there is no error."""

    async def sweep(self) -> int:
        """Remove what crashed writers left behind; how many things that was."""

    async def close(self) -> None:
        """Let go of files and connections."""
