"""What a signature covers, what a request claims by it, and what its chunks are signed with."""

import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from msgspec import Struct

from s3proxy.s3.dates import extended
from s3proxy.s3.errors import S3Error

CONTENT_SHA256: Final = "x-amz-content-sha256"
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
UNSIGNED_CHUNKS: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_CHUNKS: Final = frozenset(
    {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"}
)
ASYMMETRIC_CHUNKS: Final = frozenset(
    {"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"}
)
EMPTY_SHA256: Final = sha256().hexdigest()
MAX_SKEW: Final = 15 * 60

_HEX_SHA256: Final = re.compile("[0-9a-fA-F]{64}")
_CONSTANTS: Final = SIGNED_CHUNKS | {UNSIGNED, UNSIGNED_CHUNKS}


class SignedRequest(NamedTuple):
    """`path` and `query` as they were sent, percent-encoded, in ASCII.

    `headers` are by lower-case name, repeated ones joined by ",", bytes above 127 as Latin-1.
    `bucket` is the one that a virtual-host-style request names in its Host header, else "".
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    bucket: str = ""


class Scheme(StrEnum):
    """Which of S3's signatures a request carries, and where."""

    V4_HEADER = "AWS4-HMAC-SHA256 header"
    V4_QUERY = "AWS4-HMAC-SHA256 query"
    V2_HEADER = "AWS header"
    V2_QUERY = "AWS query"


class Claim(Struct, frozen=True):
    """Who a request says it is from: not to be believed before `verify`.

    `signed_at` is in seconds since the epoch; a presigned URL is good until `signed_at + expires`.
    `payload` is what x-amz-content-sha256 says of the body, "" where nothing does.
    The rest is SigV4's: the ISO 8601 basic `timestamp`, the credential scope's `date` and
    `region`, the `;`-separated `signed_headers`.
    """

    scheme: Scheme
    access_key: str
    signature: str
    signed_at: int
    expires: int | None
    payload: str
    timestamp: str = ""
    date: str = ""
    region: str = ""
    signed_headers: str = ""

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/s3/aws4_request"


class Seal(Struct, frozen=True):
    """A verified SigV4 signature, on which those of a body's chunks are built."""

    key: bytes
    timestamp: str
    scope: str
    signature: str

    def __repr__(self) -> str:
        return f"Seal({self.scope!r}, {self.timestamp!r})"

    def chunk_signature(self, previous: str, digest: str) -> str:
        """Of a chunk with this SHA-256, behind the one whose signature is `previous`."""
        return self._sign("AWS4-HMAC-SHA256-PAYLOAD", previous, f"{EMPTY_SHA256}\n{digest}")

    def trailer_signature(self, previous: str, digest: str) -> str:
        """Of trailers with this SHA-256, behind the last chunk."""
        return self._sign("AWS4-HMAC-SHA256-TRAILER", previous, digest)

    def _sign(self, algorithm: str, previous: str, digests: str) -> str:
        text = f"{algorithm}\n{self.timestamp}\n{self.scope}\n{previous}\n{digests}"
        return hmac.digest(self.key, text.encode(), "sha256").hex()


def declared_payload(headers: Mapping[str, str]) -> str:
    """What the headers say of a body that SigV4 does not cover; "" where they say nothing.

    SDKs chunk a body with a trailer also where they do not sign with SigV4, and then name that in
    no x-amz-content-sha256. Chunks cannot be signed there: InvalidRequest.
    """
    payload = headers.get(CONTENT_SHA256)
    if payload is None:
        chunked = "aws-chunked" in headers.get("content-encoding", "").lower()
        return UNSIGNED_CHUNKS if chunked and "x-amz-trailer" in headers else ""
    if payload in SIGNED_CHUNKS:
        raise S3Error("InvalidRequest", "Only a request signed with SigV4 can have signed chunks.")
    return checked_payload(payload)


def checked_payload(payload: str) -> str:
    """The same value if S3 knows it; InvalidArgument, NotImplemented for SigV4A's."""
    if payload in _CONSTANTS or _HEX_SHA256.fullmatch(payload):
        return payload
    if payload in ASYMMETRIC_CHUNKS:
        raise S3Error("NotImplemented", "Chunks signed with SigV4A are not supported.")
    raise S3Error(
        "InvalidArgument",
        f"{CONTENT_SHA256} must be {UNSIGNED}, a streaming constant, or a SHA-256 in hex.",
        details={"ArgumentName": CONTENT_SHA256, "ArgumentValue": payload},
    )


def require_fresh(claim: Claim, now: int) -> None:
    """RequestTimeTooSkewed for a header's date, AccessDenied for a URL out of its time."""
    if claim.expires is None:
        if abs(now - claim.signed_at) > MAX_SKEW:
            skew = {"MaxAllowedSkewMilliseconds": str(MAX_SKEW * 1000)}
            times = _times(now, "RequestTime", claim.signed_at)
            raise S3Error("RequestTimeTooSkewed", details=times | skew)
    elif claim.signed_at > now + MAX_SKEW:
        times = _times(now, "RequestTime", claim.signed_at)
        raise S3Error("AccessDenied", "Request is not valid yet", details=times)
    elif now > claim.signed_at + claim.expires:
        times = _times(now, "Expires", claim.signed_at + claim.expires)
        raise S3Error("AccessDenied", "Request has expired", details=times)


def _times(now: int, name: str, moment: int) -> dict[str, str]:
    return {"ServerTime": extended(now), name: extended(moment)}
