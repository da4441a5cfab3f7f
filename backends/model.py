"""The nouns every layer shares. Frozen, comparable, no I/O.

Units: sizes and offsets are bytes, times are milliseconds since the Unix epoch.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

COUNTER_BITS = 16
STAMP_DIGITS = 16
LATEST = (1 << 47) - 1  # milliseconds whose stamps a database still has room for
ENDS = "!"  # below all that a site's name may have
WRITTEN_VERSION = re.compile(rf"[0-9a-f]{{{STAMP_DIGITS}}}-.*", re.DOTALL)


class Version(Struct, frozen=True, order=True):
    """When and where a row was written; the highest version of a key wins everywhere.

    `stamp` is a hybrid logical clock (Kulkarni et al., 2014): 48 bits of milliseconds, then a
    16-bit counter. `site` breaks the tie between two sites that wrote at the same stamp; it is ""
    where no site of ours wrote.
    """

    stamp: int
    site: str

    @property
    def milliseconds(self) -> int:
        return self.stamp >> COUNTER_BITS

    @property
    def end(self) -> "Version":
        """The version of the tombstone of an object that came to its end by itself.

        It is right above the object's own and below all others, so whatever was written after the
        object wins, also where it comes later; and all sites come to the same.
        """
        return Version(self.stamp + 1, f"{ENDS}{self.site}")

    @property
    def is_end(self) -> bool:
        return self.site.startswith(ENDS)

    def __str__(self) -> str:
        return f"{self.stamp:0{STAMP_DIGITS}x}-{self.site}"

    @classmethod
    def parse(cls, text: str) -> "Version":
        """The version that `str` wrote; ValueError for any other text."""
        if not WRITTEN_VERSION.fullmatch(text):
            raise ValueError(f"not a version: {text!r}")
        return cls(int(text[:STAMP_DIGITS], 16), text[STAMP_DIGITS + 1 :])


def stamp_at(milliseconds: int) -> int:
    """The lowest stamp of that time, or of the nearest one that a database has room for."""
    return min(max(milliseconds, 0), LATEST) << COUNTER_BITS


class ChecksumType(StrEnum):
    """How a checksum covers an object (S3: x-amz-checksum-type)."""

    FULL_OBJECT = "FULL_OBJECT"
    COMPOSITE = "COMPOSITE"


class Checksum(Struct, frozen=True):
    """One of S3's flexible checksums: `algorithm` as S3 names it, `value` in base64."""

    algorithm: str
    value: str
    kind: ChecksumType = ChecksumType.FULL_OBJECT


class ObjectPart(Struct, frozen=True):
    """One part of a completed multipart object, as GetObjectAttributes and `partNumber` see it."""

    number: int
    size: int
    checksum: str = ""


class Facts(Struct, frozen=True, omit_defaults=True):
    """What an object's bytes carry with them wherever they lie: enough to rebuild its row.

    `etag` has no quotes. `headers` are the content headers S3 keeps, by lower-case name;
    `metadata` is the user's own, without the `x-amz-meta-` prefix. `upload` is the multipart
    upload that made the object, so that a repeated completion can be answered. `expires` is when
    the object is to be removed, 0 for never. `listed` says that only a listing told of the object:
    headers and metadata are not known yet.
    """

    version: Version
    size: int = 0
    etag: str = ""
    owner: str = ""
    headers: Mapping[str, str] = {}
    metadata: Mapping[str, str] = {}
    storage_class: str = "STANDARD"
    checksum: Checksum | None = None
    parts: tuple[ObjectPart, ...] = ()
    upload: str = ""
    expires: int = 0
    listed: bool = False

    @property
    def modified(self) -> int:
        """Last-Modified, in milliseconds."""
        return self.version.milliseconds


class Row(Struct, frozen=True):
    """What state knows of one version of one key.

    `locator` is the storage's own name for exactly these bytes. A row with `deleted` is a
    tombstone: a delete is a version too.
    """

    bucket: str
    key: str
    facts: Facts
    locator: str = ""
    deleted: bool = False

    @property
    def version(self) -> Version:
        return self.facts.version


class KeyRange(NamedTuple):
    """Keys above `after`, up to `upto`, which belongs to them; "" is the end of the bucket."""

    after: str = ""
    upto: str = ""


class RangeDigest(NamedTuple):
    """What the rows of a range amount to; see `backends.fingerprint`."""

    objects: int = 0
    tombstones: int = 0
    fingerprint: int = 0

    @property
    def rows(self) -> int:
        return self.objects + self.tombstones


class Entry(NamedTuple):
    """A row as a listing needs it: light, because a page builds a thousand of them."""

    key: str
    stamp: int
    size: int
    etag: str
    owner: str
    storage_class: str
    algorithm: str
    checksum_kind: str


class Bucket(Struct, frozen=True):
    """A bucket, its owner and the region its maker asked for ("" is S3's us-east-1).

    `storage` names the storage its bytes lie in, where a gateway has several.
    """

    name: str
    owner: str
    created: int
    region: str = ""
    storage: str = ""


class Upload(Struct, frozen=True, omit_defaults=True):
    """A multipart upload that has begun. `token` is the storage's own name for it.

    `algorithm` and `kind` say which checksum its parts and its whole will carry ("" for none),
    `expires` when the object is to be removed (0 for never).
    """

    bucket: str
    key: str
    name: str
    token: str
    started: int
    owner: str
    headers: Mapping[str, str] = {}
    metadata: Mapping[str, str] = {}
    storage_class: str = "STANDARD"
    algorithm: str = ""
    kind: ChecksumType = ChecksumType.COMPOSITE
    expires: int = 0


class Part(Struct, frozen=True):
    """One uploaded part. `token` names its bytes in the storage."""

    number: int
    size: int
    etag: str
    modified: int
    token: str
    checksum: Checksum | None = None


class Precondition(Struct, frozen=True):
    """What must hold of the current row for a write to happen (RFC 9110, 13.1).

    `match` is an ETag or "*"; `none_match` is an ETag or "*". "" asks nothing.
    """

    match: str = ""
    none_match: str = ""


UNCONDITIONAL = Precondition()


class Intent(Struct, frozen=True, omit_defaults=True):
    """A promise, written before bytes change, that a worker can settle after a crash.

    `version` is the version the write will carry, `begun` the one it was first promised under:
    bytes that went out before their end was known carry that. `expires` is when its lease runs out.
    `upload` is the multipart upload a completion is about to consume, `condition` what the writer
    asked of the row it replaces, `replacing` the locator it must find in the storage, if any.
    `alone` shuts other writers of the key out; `deletes` says that the key's bytes are to go.
    A `replica` keeps the version that another site gave it, and nobody is told of it. With `again`
    that is the version of the key's row already: only its bytes change.
    """

    bucket: str
    key: str
    version: Version
    expires: int
    upload: str = ""
    condition: Precondition = UNCONDITIONAL
    begun: Version | None = None
    replacing: str | None = None
    alone: bool = False
    deletes: bool = False
    replica: bool = False
    again: bool = False


class Discard(Struct, frozen=True):
    """Bytes that no row names any more and that storage may drop."""

    bucket: str
    key: str
    locator: str


class Event(Struct, frozen=True, omit_defaults=True):
    """A change, as it leaves through the outbox. `name` is S3's event name, without `s3:`.

    `at` is when it happened, where its version does not say so (0: it does).
    """

    name: str
    bucket: str
    key: str
    version: Version
    size: int = 0
    etag: str = ""
    operation: str = ""
    at: int = 0

    @property
    def made(self) -> int:
        """When it happened, in milliseconds."""
        return self.at or self.version.milliseconds


class AccessKey(Struct, frozen=True):
    """A client's key. `owner` is who its buckets belong to."""

    access_key: str
    secret_key: str
    owner: str
    created: int
    enabled: bool = True

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key!r}, owner={self.owner!r}, enabled={self.enabled})"
