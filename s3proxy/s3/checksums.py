"""What a request says of a body's digests, and whether the body has them.

Source: the S3 API reference (PutObject, UploadPart, CreateMultipartUpload,
CompleteMultipartUpload) and the user guide, "Checking object integrity".
"""

from collections.abc import Mapping
from hashlib import md5, sha256
from typing import Final

from msgspec import Struct

from backends.model import Checksum, ChecksumType
from s3proxy.s3.algorithms import (
    ALGORITHMS,
    PREFIX,
    Algorithm,
    Digest,
    combined,
    composite,
    decode,
    encode,
    multipart_etag,
)
from s3proxy.s3.errors import S3Error

__all__ = [
    "ALGORITHMS",
    "Digest",
    "Digests",
    "Expected",
    "combined",
    "composite",
    "copy_algorithm",
    "multipart_etag",
    "requested",
    "requested_of_document",
    "require_whole",
    "upload_checksum",
]

ALGORITHM: Final = "x-amz-checksum-algorithm"
SDK_ALGORITHM: Final = "x-amz-sdk-checksum-algorithm"
TYPE: Final = "x-amz-checksum-type"
TRAILER: Final = "x-amz-trailer"
MD5_BYTES: Final = 16

_QUALIFIERS: Final = frozenset({ALGORITHM, TYPE, "x-amz-checksum-mode"})
_BY_HEADER: Final = {algorithm.header: algorithm for algorithm in ALGORITHMS.values()}


class Expected(Struct, frozen=True):
    """The digests a request announces. `value` is None where only the trailer will tell."""

    md5: bytes | None = None
    algorithm: str = ""
    value: bytes | None = None
    in_trailer: bool = False


def requested(headers: Mapping[str, str]) -> Expected:
    """What the headers say of the request's own body.

    InvalidDigest for Content-MD5; BadDigest for a value that is no such checksum; InvalidRequest
    for two checksums, an unknown one, an algorithm that is not the checksum's, another trailer.
    """
    content_md5 = _content_md5(headers)
    named = _named_algorithm(headers)
    header = _only_one(_checksum_headers(headers) + _trailer_names(headers))
    if not header:
        if SDK_ALGORITHM in headers:
            raise _invalid(f"{SDK_ALGORITHM} comes without its checksum, in header or trailer.")
        return Expected(content_md5, named)
    algorithm = _BY_HEADER[header]
    if named not in {"", algorithm.name}:
        raise _invalid(f"The algorithm named is {named}, but the checksum is {algorithm.name}.")
    _require_kind(headers, ChecksumType.FULL_OBJECT)
    if header not in headers:
        return Expected(content_md5, algorithm.name, in_trailer=True)
    return Expected(content_md5, algorithm.name, _decoded(algorithm, headers[header]))


def requested_of_document(headers: Mapping[str, str]) -> Expected:
    """For CompleteMultipartUpload, whose checksum headers speak of the object (`require_whole`)."""
    return Expected(_content_md5(headers))


def upload_checksum(headers: Mapping[str, str]) -> tuple[str, ChecksumType]:
    """Algorithm ("" for none) and type that a CreateMultipartUpload asks for. InvalidRequest."""
    name = _named_algorithm(headers)
    asked = _kind(headers)
    if not name:
        if asked:
            raise _invalid(f"{TYPE} needs {ALGORITHM}.")
        return "", ChecksumType.COMPOSITE
    kinds = ALGORITHMS[name].kinds
    if asked and asked not in kinds:
        raise _invalid(f"The checksum type {asked} cannot be had with {name}.")
    return name, asked or kinds[0]


def copy_algorithm(headers: Mapping[str, str]) -> str:
    """The algorithm a CopyObject wants its copy to have, "" for the source's. InvalidRequest."""
    return _named_algorithm(headers)


def require_whole(headers: Mapping[str, str], checksum: Checksum | None) -> None:
    """Return unless a CompleteMultipartUpload announces another checksum than its parts make.

    InvalidRequest for one of another kind, BadDigest for another value.
    """
    if checksum:
        _require_kind(headers, checksum.kind)
    elif TYPE in headers:
        raise _invalid("The upload has no checksum.")
    header = _only_one(_checksum_headers(headers))
    if not header:
        return
    if checksum is None or ALGORITHMS[checksum.algorithm].header != header:
        raise _invalid(f"The upload has no {_BY_HEADER[header].name} checksum.")
    if headers[header] not in {checksum.value, checksum.value.partition("-")[0]}:
        raise _bad_digest(checksum.algorithm, headers[header], checksum.value)


class Digests:
    """One pass over a body for all digests that are needed: MD5, which is the ETag, among them.

    Without `etag` there is none unless the request announces one. `payload_sha256` is
    x-amz-content-sha256 where that is a hash. `algorithm` is a checksum to compute even if the
    request has none: InvalidRequest where it has another.
    """

    def __init__(
        self,
        expected: Expected,
        *,
        payload_sha256: str = "",
        algorithm: str = "",
        etag: bool = True,
    ) -> None:
        name = expected.algorithm or algorithm
        if algorithm not in {"", name}:
            raise _invalid(f"The upload was begun with {algorithm}, but the checksum is {name}.")
        self._expected = expected
        self._payload_sha256 = payload_sha256.lower()
        self._algorithm = name
        needed = etag or expected.md5 is not None
        self._md5 = md5(usedforsecurity=False) if needed else None
        self._sha256 = sha256() if payload_sha256 else None
        self._checksum = self._start_checksum(name)
        self._digests: tuple[Digest, ...] = tuple(
            {id(d): d for d in (self._md5, self._sha256, self._checksum) if d}.values()
        )

    def _start_checksum(self, name: str) -> Digest | None:
        if name == "SHA256" and self._sha256:
            return self._sha256
        return ALGORITHMS[name].start() if name else None

    def update(self, data: bytes) -> None:
        for digest in self._digests:
            digest.update(data)

    @property
    def needed(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self._digests)

    @property
    def etag(self) -> str:
        """The MD5 in hexadecimal digits, or "" where there is none."""
        return self._md5.hexdigest() if self._md5 else ""

    @property
    def checksum(self) -> Checksum | None:
        if self._checksum is None:
            return None
        return Checksum(self._algorithm, encode(self._checksum.digest()))

    def verify(self, trailers: Mapping[str, str]) -> None:
        """Return if the body was what the request announced.

        BadDigest, XAmzContentSHA256Mismatch; MalformedTrailerError where the trailers are not
        those announced.
        """
        expected = self._expected.md5
        if self._md5 and expected is not None and expected != self._md5.digest():
            raise _bad_digest("Content-MD5", encode(expected), encode(self._md5.digest()))
        if self._sha256 and self._sha256.hexdigest() != self._payload_sha256:
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                details={
                    "ClientComputedContentSHA256": self._payload_sha256,
                    "S3ComputedContentSHA256": self._sha256.hexdigest(),
                },
            )
        value = self._announced(trailers)
        if value is not None and self._checksum and value != self._checksum.digest():
            raise _bad_digest(self._algorithm, encode(value), encode(self._checksum.digest()))

    def _announced(self, trailers: Mapping[str, str]) -> bytes | None:
        expected = self._expected
        header = ALGORITHMS[expected.algorithm].header if expected.in_trailer else ""
        if trailers.keys() != ({header} if header else set()):
            raise S3Error("MalformedTrailerError", f"The trailers must be those of {TRAILER}.")
        if not header:
            return expected.value
        return _decoded(_BY_HEADER[header], trailers[header])


def _content_md5(headers: Mapping[str, str]) -> bytes | None:
    text = headers.get("content-md5")
    if text is None:
        return None
    digest = decode(text, MD5_BYTES)
    if digest is None:
        raise S3Error("InvalidDigest")
    return digest


def _checksum_headers(headers: Mapping[str, str]) -> list[str]:
    return [name for name in headers if name.startswith(PREFIX) and name not in _QUALIFIERS]


def _trailer_names(headers: Mapping[str, str]) -> list[str]:
    names = [name.strip().lower() for name in headers.get(TRAILER, "").split(",")]
    if TRAILER in headers and not _BY_HEADER.keys() >= set(names):
        raise _invalid(f"{TRAILER} must name a checksum that S3 knows.")
    return [name for name in names if name]


def _only_one(names: list[str]) -> str:
    if len(names) > 1:
        raise _invalid("A request can have one checksum, in one place.")
    if names and names[0] not in _BY_HEADER:
        raise _invalid(f"There is no checksum algorithm {names[0].removeprefix(PREFIX)!r} here.")
    return names[0] if names else ""


def _named_algorithm(headers: Mapping[str, str]) -> str:
    """What x-amz-sdk-checksum-algorithm and x-amz-checksum-algorithm agree on, or ""."""
    names = {headers[name].upper() for name in (SDK_ALGORITHM, ALGORITHM) if name in headers}
    if len(names) > 1:
        raise _invalid(f"{SDK_ALGORITHM} and {ALGORITHM} differ.")
    for name in names:
        if name not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise _invalid(f"There is no checksum algorithm {name!r} here: use one of {known}.")
    return next(iter(names), "")


def _kind(headers: Mapping[str, str]) -> ChecksumType | None:
    text = headers.get(TYPE)
    if text is None:
        return None
    try:
        return ChecksumType(text.upper())
    except ValueError as error:
        raise _invalid(f"{TYPE} must be {' or '.join(ChecksumType)}.") from error


def _require_kind(headers: Mapping[str, str], kind: ChecksumType) -> None:
    asked = _kind(headers)
    if asked not in {None, kind}:
        raise _invalid(f"The checksum type {asked} is wrong here: it is {kind}.")


def _decoded(algorithm: Algorithm, value: str) -> bytes:
    digest = algorithm.decode(value)
    if digest is None:
        raise S3Error("BadDigest", f"{algorithm.header} is not a {algorithm.name} in base64.")
    return digest


def _invalid(message: str) -> S3Error:
    return S3Error("InvalidRequest", message)


def _bad_digest(name: str, expected: str, calculated: str) -> S3Error:
    return S3Error(
        "BadDigest",
        f"The {name} you named is not that of the bytes that were received.",
        details={"ExpectedDigest": expected, "CalculatedDigest": calculated},
    )
