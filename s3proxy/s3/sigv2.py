"""AWS Signature Version 2, S3's first one, for applications that know no other.

Source: the S3 developer guide, "Signing and authenticating REST requests (AWS signature
version 2)".
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, unquote_plus

from s3proxy.s3.claims import Claim, Scheme, SignedRequest, declared_payload, require_fresh
from s3proxy.s3.dates import parse_basic, parse_http_date
from s3proxy.s3.errors import S3Error

QUERY_FIELDS: Final = ("AWSAccessKeyId", "Expires", "Signature")
LATEST: Final = 253_402_300_799  # the last second of the year 9999
SIGNED_PARAMETERS: Final = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)


def from_header(request: SignedRequest) -> Claim:
    """The claim of `Authorization: AWS key:signature`. InvalidArgument; AccessDenied: no date."""
    authorization = request.headers["authorization"]
    access_key, _, signature = authorization.partition(" ")[2].strip().rpartition(":")
    if not access_key or not signature:
        raise S3Error(
            "InvalidArgument",
            "The Authorization header must be AWS ACCESS_KEY:SIGNATURE.",
            details={"ArgumentName": "Authorization", "ArgumentValue": authorization},
        )
    text = request.headers.get("x-amz-date") or request.headers.get("date", "")
    seconds = parse_basic(text)
    signed_at = parse_http_date(text) if seconds is None else seconds
    if signed_at is None:
        raise S3Error("AccessDenied", "A signed request needs a valid x-amz-date or Date header.")
    payload = declared_payload(request.headers)
    return Claim(Scheme.V2_HEADER, access_key, signature, signed_at, None, payload)


def from_query(request: SignedRequest) -> Claim:
    """The claim of a presigned URL: `expires` counts from the epoch. AccessDenied."""
    found: dict[str, str] = {}
    for pair in request.query.split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(name, unquote_plus(value))
    if not all(found.get(name) for name in QUERY_FIELDS):
        raise S3Error("AccessDenied", f"A presigned URL must have {', '.join(QUERY_FIELDS)}.")
    access_key, expires, signature = (found[name] for name in QUERY_FIELDS)
    if not (expires.isascii() and expires.isdigit()) or len(expires) > len(str(LATEST)):
        raise S3Error("AccessDenied", "Expires must be a time in seconds since the epoch.")
    payload = declared_payload(request.headers)
    # A base64 signature that was put into the query unescaped has its pluses turned to spaces.
    signature = signature.replace(" ", "+")
    return Claim(Scheme.V2_QUERY, access_key, signature, 0, min(int(expires), LATEST), payload)


def verify(claim: Claim, request: SignedRequest, secret: str, *, now: int) -> None:
    """Return if `secret` made the claim's signature and now is its time.

    SignatureDoesNotMatch, RequestTimeTooSkewed, AccessDenied.
    """
    require_fresh(claim, now)
    text = string_to_sign(claim, request)
    signature = b64encode(hmac.digest(secret.encode(), text.encode("latin-1"), "sha1")).decode()
    if not hmac.compare_digest(signature.encode(), claim.signature.encode()):
        raise S3Error(
            "SignatureDoesNotMatch",
            details={
                "AWSAccessKeyId": claim.access_key,
                "StringToSign": text,
                "SignatureProvided": claim.signature,
            },
        )


def string_to_sign(claim: Claim, request: SignedRequest) -> str:
    headers = request.headers
    lines = [
        request.method,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        _date_line(claim, headers),
    ]
    lines += [
        f"{name}:{headers[name].strip()}" for name in sorted(headers) if name.startswith("x-amz-")
    ]
    return "\n".join([*lines, canonical_resource(request)])


def canonical_resource(request: SignedRequest) -> str:
    """The path as it was sent behind the bucket, then the sub-resources in order, decoded."""
    chosen = []
    for pair in request.query.split("&"):
        name, equals, value = pair.partition("=")
        if name in SIGNED_PARAMETERS:
            chosen.append((name, equals + unquote(value, "latin-1")))
    path = f"/{request.bucket}{request.path}" if request.bucket else request.path
    names = "&".join([name + value for name, value in sorted(chosen)])
    return f"{path}?{names}" if names else path


def _date_line(claim: Claim, headers: Mapping[str, str]) -> str:
    """x-amz-date is signed among its like, and takes the place of the Date header."""
    if claim.scheme is Scheme.V2_QUERY:
        return str(claim.expires)
    return "" if "x-amz-date" in headers else headers.get("date", "")
