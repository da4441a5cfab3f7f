"""The front door: whom a request says it is from, and whether that is true."""

import re
from collections.abc import Callable
from typing import Final

from s3proxy.s3 import sigv2, sigv4
from s3proxy.s3.claims import (
    Claim,
    Scheme,
    Seal,
    SignedRequest,
    declared_payload,
)
from s3proxy.s3.errors import S3Error

__all__ = ["Claim", "Scheme", "Seal", "SignedRequest", "claim", "declared_payload", "verify"]

_PARSERS: Final[dict[Scheme, Callable[[SignedRequest], Claim]]] = {
    Scheme.V4_HEADER: sigv4.from_header,
    Scheme.V4_QUERY: sigv4.from_query,
    Scheme.V2_HEADER: sigv2.from_header,
    Scheme.V2_QUERY: sigv2.from_query,
}
_HEADER_SCHEMES: Final = {sigv4.ALGORITHM: Scheme.V4_HEADER, "AWS": Scheme.V2_HEADER}
_QUERY_SCHEMES: Final = (
    (re.compile("(?:^|&)X-Amz-(?:Algorithm|Credential|Signature)="), Scheme.V4_QUERY),
    (re.compile("(?:^|&)(?:AWSAccessKeyId|Signature)="), Scheme.V2_QUERY),
)
_V2: Final = frozenset({Scheme.V2_HEADER, Scheme.V2_QUERY})


def claim(request: SignedRequest, *, sigv2: bool = False) -> Claim | None:
    """Whom the request says it is from; None where it is anonymous. Nothing is believed yet.

    InvalidArgument for two mechanisms at once and for one that S3 does not know, InvalidRequest
    for SigV2 unless `sigv2` allows it, and what the scheme's own parser raises.
    """
    schemes = _schemes(request)
    if not schemes:
        return None
    if len(schemes) > 1:
        raise _refused(request, "Only one way to authenticate is allowed at a time.")
    (scheme,) = schemes
    if scheme in _V2 and not sigv2:
        raise S3Error(
            "InvalidRequest", f"Signature version 2 is not supported here: use {sigv4.ALGORITHM}."
        )
    return _PARSERS[scheme](request)


def verify(
    claim: Claim, request: SignedRequest, secret: str, *, now: int, region: str | None = None
) -> Seal | None:
    """Return if `secret` signed the request, `now` (seconds) is its time and `region` its place.

    The seal is what chunk signatures build on: None for SigV2, which has none. Without `region`
    any is good. SignatureDoesNotMatch, AccessDenied, RequestTimeTooSkewed,
    AuthorizationHeaderMalformed or AuthorizationQueryParametersError.
    """
    if claim.scheme in _V2:
        sigv2.verify(claim, request, secret, now=now)
        return None
    return sigv4.verify(claim, request, secret, now=now, region=region)


def _schemes(request: SignedRequest) -> list[Scheme]:
    schemes = []
    authorization = request.headers.get("authorization")
    if authorization is not None:
        schemes.append(_header_scheme(request, authorization))
    if "=" in request.query:
        schemes += [scheme for names, scheme in _QUERY_SCHEMES if names.search(request.query)]
    return schemes


def _header_scheme(request: SignedRequest, authorization: str) -> Scheme:
    if not authorization.strip():
        raise S3Error("AccessDenied", "The Authorization header is empty.")
    scheme = _HEADER_SCHEMES.get(authorization.partition(" ")[0])
    if scheme is None:
        raise _refused(request, "This type of authorization is not supported.")
    return scheme


def _refused(request: SignedRequest, message: str) -> S3Error:
    value = request.headers.get("authorization", "")
    return S3Error(
        "InvalidArgument",
        message,
        details={"ArgumentName": "Authorization", "ArgumentValue": value},
    )
