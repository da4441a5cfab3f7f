"""What sites say to each other beside S3's own words: headers, and JSON bodies."""

import base64
import hmac
from typing import Final, TypeVar

from msgspec import MsgspecError, Struct, json

from backends.errors import Refused
from backends.model import (
    COUNTER_BITS,
    STAMP_DIGITS,
    Facts,
    KeyRange,
    Precondition,
    RangeDigest,
    Version,
)

API: Final = "-"
HELLO: Final = "hello"
DIGESTS: Final = "digests"
ROWS: Final = "rows"
FACTS: Final = "facts"
FACTS_HEADER: Final = "x-ccs-facts"
VERSION_HEADER: Final = "x-ccs-version"
CONDITION_HEADER: Final = "x-ccs-condition"
ENCODING_HEADER: Final = "x-ccs-encoding"
DECODED_LENGTH_HEADER: Final = "x-ccs-decoded-length"
ID_HEADER: Final = "x-ccs-site-id"
PROTOCOL_HEADER: Final = "x-ccs-protocol"
LARGEST_HEADER: Final = 16 * 1024
REGION: Final = "sites"
MILLISECOND_DIGITS: Final = STAMP_DIGITS - COUNTER_BITS // 4

T = TypeVar("T")


class Hello(Struct, frozen=True):
    """Who a site is. `now` is its clock, in milliseconds."""

    name: str
    id: str
    protocol: int
    now: int


class Found(Struct, frozen=True):
    """What a site knows of a key: facts of an object or a tombstone, or None."""

    facts: Facts | None = None
    deleted: bool = False


class DigestsWanted(Struct, frozen=True):
    """Which ranges a site asks about; as `StateStore.digests`."""

    ranges: tuple[KeyRange, ...]
    before: int
    buried_since: int


class Digests(Struct, frozen=True):
    """What each range amounts to."""

    digests: tuple[RangeDigest, ...]


class RowsWanted(Struct, frozen=True):
    """Of which ranges a site wants the rows; they are in order and do not overlap."""

    ranges: tuple[KeyRange, ...]
    limit: int


class Listed(Struct, frozen=True, omit_defaults=True):
    """What a site says of a key to one that compares. `deleted` is a tombstone.

    `shared` is a short digest of headers, metadata and the like; see `backends.fingerprint`.
    """

    key: str
    version: str
    etag: str = ""
    size: int = 0
    deleted: bool = False
    shared: str = ""

    @property
    def milliseconds(self) -> int:
        """When the version was made, read from the beginning of it. Refused where it is none."""
        try:
            return int(self.version[:MILLISECOND_DIGITS], 16)
        except ValueError as error:
            raise Refused(f"{self.key}: not a version: {self.version}") from error

    def counts(self, *, before: int, buried_since: int) -> bool:
        """Whether a digest counts it; as `StateStore.digests`."""
        made = self.milliseconds
        return made < before and (not self.deleted or made >= buried_since)


class RangePage(Struct, frozen=True):
    """Rows of ranges, in order: all up to the key `reached`, or to the end if that is ""."""

    rows: tuple[Listed, ...]
    reached: str = ""


class Applied(Struct, frozen=True):
    """Whether the change is the newest of its key there now."""

    applied: bool


class PartMark(Struct, frozen=True):
    """A part that has arrived; `etag` is its MD5, in hexadecimal."""

    number: int
    size: int
    etag: str


class Offer(Struct, frozen=True):
    """The parts that are there already; `wanted` is False where a newer version is there."""

    wanted: bool
    parts: tuple[PartMark, ...] = ()


class Completion(Struct, frozen=True):
    """The facts of an object that has arrived in parts, and those parts."""

    facts: Facts
    parts: tuple[PartMark, ...]


def secret_of(shared: str, caller: str) -> str:
    """What a site signs its requests to the others with."""
    text = f"ccs-site-v1:{caller}"
    return hmac.digest(shared.encode(), text.encode(), "sha256").hex()


def to_header(value: Facts | Precondition) -> str:
    """Facts, or a condition, as a header carries them."""
    return base64.b64encode(json.encode(value)).decode()


def from_header(text: str) -> Facts:
    """The facts that `to_header` wrote. Refused for anything else."""
    return _decoded(text, FACTS_HEADER, Facts)


def condition_from(text: str) -> Precondition:
    """The condition that `to_header` wrote. Refused for anything else."""
    return _decoded(text, CONDITION_HEADER, Precondition)


def _decoded(text: str, header: str, kind: type[T]) -> T:
    try:
        return json.decode(base64.b64decode(text, validate=True), type=kind)
    except (ValueError, MsgspecError) as error:
        raise Refused(f"{header} holds no {kind.__name__}: {error}") from error


def version_from(text: str) -> Version:
    """A version in a header. Refused for anything else."""
    try:
        return Version.parse(text)
    except ValueError as error:
        raise Refused(f"{VERSION_HEADER}: {error}") from error
