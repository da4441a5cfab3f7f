"""S3's checksum algorithms, and what a multipart upload makes of its parts' digests.

Source: the S3 user guide, "Checking object integrity".
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import md5, sha1, sha256
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

import anycrc

from backends.model import ChecksumType

PREFIX: Final = "x-amz-checksum-"


class Digest(Protocol):
    """What hashlib's objects do, as far as it is needed."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class CrcModel(Protocol):
    """One of anycrc's CRCs. `combine` is of a message and the `length` bytes that follow it."""

    def calc(self, data: bytes, init: int) -> int: ...

    def combine(self, first: int, second: int, length: int) -> int: ...


class Crc:
    """A CRC that grows with its data."""

    __slots__ = ("_length", "_model", "_value")

    def __init__(self, model: CrcModel, length: int) -> None:
        self._model = model
        self._length = length
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._model.calc(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._length, "big")


class Algorithm(NamedTuple):
    """`length` is the digest's, in bytes. The first of `kinds` is a multipart upload's default.

    `crc` is there for those whose digests can be combined.
    """

    name: str
    length: int
    kinds: tuple[ChecksumType, ...]
    start: Callable[[], Digest]
    crc: CrcModel | None = None

    @property
    def header(self) -> str:
        return PREFIX + self.name.lower()

    def decode(self, value: str) -> bytes | None:
        """The digest that base64 spells, or None where it spells none of this length."""
        return decode(value, self.length)


def _crc(name: str, model: str, length: int, *kinds: ChecksumType) -> Algorithm:
    crc: CrcModel = anycrc.Model(model)
    return Algorithm(name, length, kinds, partial(Crc, crc, length), crc)


_FULL, _COMPOSITE = ChecksumType.FULL_OBJECT, ChecksumType.COMPOSITE
ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {
        algorithm.name: algorithm
        for algorithm in (
            _crc("CRC32", "CRC32-ISO-HDLC", 4, _COMPOSITE, _FULL),
            _crc("CRC32C", "CRC32-ISCSI", 4, _COMPOSITE, _FULL),
            _crc("CRC64NVME", "CRC64-NVME", 8, _FULL),
            Algorithm("SHA1", 20, (_COMPOSITE,), partial(sha1, usedforsecurity=False)),
            Algorithm("SHA256", 32, (_COMPOSITE,), sha256),
        )
    }
)


def encode(digest: bytes) -> str:
    return b64encode(digest).decode()


def decode(value: str, length: int) -> bytes | None:
    """The bytes that strict base64 spells, or None where they are not `length` of them."""
    try:
        digest = b64decode(value, validate=True)
    except ValueError:
        return None
    return digest if len(digest) == length else None


def composite(algorithm: str, values: Sequence[str]) -> str:
    """The checksum of the parts' checksums, in order, with their number: `value-N`."""
    whole = ALGORITHMS[algorithm].start()
    for value in values:
        whole.update(b64decode(value))
    return f"{encode(whole.digest())}-{len(values)}"


def combined(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """The CRC of the whole object, from each part's CRC and size in bytes, in order."""
    _, length, _, _, crc = ALGORITHMS[algorithm]
    if crc is None:
        raise ValueError(f"{algorithm} of a whole cannot be had from its parts")
    whole = 0
    for value, size in parts:
        whole = crc.combine(whole, int.from_bytes(b64decode(value), "big"), size)
    return encode(whole.to_bytes(length, "big"))


def multipart_etag(etags: Sequence[str]) -> str:
    """S3's ETag of a multipart object: the MD5 of its parts' MD5s, with their number."""
    whole = md5(b"".join(map(bytes.fromhex, etags)), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(etags)}"
