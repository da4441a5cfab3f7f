"""AWS Signature Version 4, as S3 has it: in the Authorization header or in the query.

Source: the S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
"""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from backends.sigv4 import signing_key
from s3proxy.s3.claims import (
    CONTENT_SHA256,
    UNSIGNED,
    Claim,
    Scheme,
    Seal,
    SignedRequest,
    checked_payload,
    require_fresh,
)
from s3proxy.s3.dates import basic, parse_basic, parse_http_date
from s3proxy.s3.errors import S3Error

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MAX_EXPIRES: Final = 7 * 24 * 3600
HEADER_FIELDS: Final = ("Credential", "SignedHeaders", "Signature")
QUERY_FIELDS: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)

_MALFORMED: Final = {
    Scheme.V4_HEADER: "AuthorizationHeaderMalformed",
    Scheme.V4_QUERY: "AuthorizationQueryParametersError",
}
_CREDENTIAL_PARTS: Final = 5
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9/_.~-]*")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.~-]*")
_SPACES: Final = re.compile(" {2,}")


def from_header(request: SignedRequest) -> Claim:
    """The claim of an Authorization header.

    AuthorizationHeaderMalformed, AccessDenied without a date, InvalidRequest and InvalidArgument
    for x-amz-content-sha256.
    """
    _, _, text = request.headers["authorization"].partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in text.split(","))
    if not all(fields.get(name) for name in HEADER_FIELDS):
        raise S3Error(
            "AuthorizationHeaderMalformed",
            f"The Authorization header must have {', '.join(HEADER_FIELDS)}.",
        )
    timestamp, signed_at = _header_time(request.headers)
    payload = request.headers.get(CONTENT_SHA256)
    if payload is None:
        raise S3Error("InvalidRequest", f"Missing required header: {CONTENT_SHA256}")
    return _claim(
        Scheme.V4_HEADER,
        fields["Credential"],
        fields["SignedHeaders"],
        fields["Signature"],
        timestamp=timestamp,
        signed_at=signed_at,
        expires=None,
        payload=payload,
    )


def from_query(request: SignedRequest) -> Claim:
    """The claim of a presigned URL. AuthorizationQueryParametersError; InvalidArgument."""
    found = _query_fields(request.query)
    if not all(found.get(name) for name in QUERY_FIELDS):
        raise _query_error(f"A presigned URL must have {', '.join(QUERY_FIELDS)}.")
    if found["X-Amz-Algorithm"] != ALGORITHM:
        raise _query_error(f"X-Amz-Algorithm must be {ALGORITHM}.")
    signed_at = parse_basic(found["X-Amz-Date"])
    if signed_at is None:
        raise _query_error("X-Amz-Date must be in ISO 8601 basic form: yyyymmddThhmmssZ.")
    hoisted = found.get("X-Amz-Content-Sha256", UNSIGNED)
    return _claim(
        Scheme.V4_QUERY,
        found["X-Amz-Credential"],
        found["X-Amz-SignedHeaders"],
        found["X-Amz-Signature"],
        timestamp=found["X-Amz-Date"],
        signed_at=signed_at,
        expires=_expires(found["X-Amz-Expires"]),
        payload=request.headers.get(CONTENT_SHA256, hoisted),
    )


def verify(
    claim: Claim, request: SignedRequest, secret: str, *, now: int, region: str | None
) -> Seal:
    """Return the seal if `secret` made the claim's signature, now is its time and here its place.

    SignatureDoesNotMatch; the region's malformed error; RequestTimeTooSkewed; AccessDenied.
    """
    if region is not None and claim.region != region:
        raise S3Error(
            _MALFORMED[claim.scheme],
            f"The region {claim.region!r} is wrong; expecting {region!r}.",
            details={"Region": region},
        )
    require_fresh(claim, now)
    _require_all_signed(claim, request.headers)
    canonical = canonical_request(claim, request)
    digest = sha256(canonical.encode("latin-1")).hexdigest()
    text = f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n{digest}"
    key = signing_key(secret, claim.date, claim.region)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    if not hmac.compare_digest(signature.encode(), claim.signature.encode()):
        raise S3Error(
            "SignatureDoesNotMatch",
            details={
                "AWSAccessKeyId": claim.access_key,
                "StringToSign": text,
                "SignatureProvided": claim.signature,
                "CanonicalRequest": canonical,
            },
        )
    return Seal(key, claim.timestamp, claim.scope, signature)


def canonical_request(claim: Claim, request: SignedRequest) -> str:
    """What both sides hash. A signed header that did not arrive counts as an empty one."""
    left_out = "X-Amz-Signature" if claim.scheme is Scheme.V4_QUERY else ""
    headers = request.headers
    lines = [
        request.method,
        canonical_path(request.path),
        canonical_query(request.query, left_out) if request.query else "",
    ]
    lines += [
        f"{name}:{_canonical_value(headers.get(name, ''))}"
        for name in claim.signed_headers.split(";")
    ]
    lines += ["", claim.signed_headers, claim.payload]
    return "\n".join(lines)


def canonical_path(path: str) -> str:
    """Decoded and encoded once, as S3 does: `//` and `..` are names like any other."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    return quote(unquote_to_bytes(path), safe="/-_.~")


def canonical_query(query: str, left_out: str = "") -> str:
    """Sorted by encoded name, then value; blank values stay."""
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if pair and name != left_out:
            pairs.append((_canonical_name(name), _canonical_name(value)))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _canonical_name(text: str) -> str:
    if _PLAIN_NAME.fullmatch(text):
        return text
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="-_.~")


def _canonical_value(value: str) -> str:
    value = value.strip(" \t")
    return _SPACES.sub(" ", value) if "  " in value else value


def _require_all_signed(claim: Claim, headers: Mapping[str, str]) -> None:
    """AccessDenied for a header that means something and that the signature does not cover.

    x-amz-content-sha256 is covered by itself: its value is in the canonical request.
    """
    signed = set(claim.signed_headers.split(";"))
    signed.add(CONTENT_SHA256)
    missing = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    if "host" not in signed:
        missing.append("host")
    if missing:
        raise S3Error(
            "AccessDenied",
            "The request has headers that must be signed and are not.",
            details={"HeadersNotSigned": ", ".join(missing)},
        )


def _header_time(headers: Mapping[str, str]) -> tuple[str, int]:
    """The time a request was signed, as SigV4 writes it and in seconds."""
    text = headers.get("x-amz-date") or headers.get("date", "")
    seconds = parse_basic(text)
    if seconds is not None:
        return text, seconds
    seconds = None if headers.get("x-amz-date") else parse_http_date(text)
    if seconds is None:
        raise S3Error("AccessDenied", "A signed request needs a valid x-amz-date or Date header.")
    return basic(seconds), seconds


def _query_fields(query: str) -> dict[str, str]:
    """The first value of each parameter that can belong to a signature."""
    fields: dict[str, str] = {}
    for pair in query.split("&"):
        if pair.startswith("X-Amz-"):
            name, _, value = pair.partition("=")
            fields.setdefault(name, unquote_plus(value))
    return fields


def _expires(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_EXPIRES)):
        raise _query_error(f"X-Amz-Expires must be a number of seconds up to {MAX_EXPIRES}.")
    if not 1 <= int(text) <= MAX_EXPIRES:
        raise _query_error(f"X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds.")
    return int(text)


def _query_error(message: str) -> S3Error:
    return S3Error("AuthorizationQueryParametersError", message)


def _claim(
    scheme: Scheme,
    credential: str,
    signed_headers: str,
    signature: str,
    *,
    timestamp: str,
    signed_at: int,
    expires: int | None,
    payload: str,
) -> Claim:
    """A claim whose credential scope has been checked against S3 and the request's date."""
    parts = credential.rsplit("/", _CREDENTIAL_PARTS - 1)
    if len(parts) < _CREDENTIAL_PARTS or not parts[0] or not signed_headers.isascii():
        raise S3Error(
            _MALFORMED[scheme], "The credential must be ACCESS_KEY/yyyymmdd/REGION/s3/aws4_request."
        )
    access_key, date, region, service, terminator = parts
    for value, wanted in (
        (date, timestamp[:8]),
        (service, "s3"),
        (terminator, "aws4_request"),
    ):
        if value != wanted:
            raise S3Error(
                _MALFORMED[scheme], f"The credential says {value!r} where {wanted!r} is expected."
            )
    return Claim(
        scheme=scheme,
        access_key=access_key,
        signature=signature,
        signed_at=signed_at,
        expires=expires,
        payload=checked_payload(payload),
        timestamp=timestamp,
        date=date,
        region=region,
        signed_headers=signed_headers,
    )
