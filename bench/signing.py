"""AWS Signature Version 4 in the header, for requests that are signed before a run starts.

Source: S3 API reference, "Authenticating Requests: Using the Authorization Header". Written apart
from the gateway's own verification, so that neither can hide a mistake of the other.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
EMPTY: Final = hashlib.sha256(b"").hexdigest()
SIGNED_HEADERS: Final = "host;x-amz-content-sha256;x-amz-date"

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, its secret, and the region that signatures name."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"


def encoded(text: str, safe: str = "") -> str:
    """Text with every byte escaped that SigV4 does not leave as it is."""
    return quote(text, safe=f"{safe}-._~")


def query_string(query: Query) -> str:
    """The canonical query string, which is also fit to be sent."""
    return "&".join(sorted(f"{encoded(name)}={encoded(value)}" for name, value in query))


def signed_headers(
    credentials: Credentials,
    method: str,
    host: str,
    path: str,
    query: str,
    digest: str,
    now: datetime,
) -> dict[str, str]:
    """The headers that authenticate a request; path and query are encoded already, now is UTC."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{credentials.region}/s3/aws4_request"
    canonical = (
        f"{method}\n{path}\n{query}\n"
        f"host:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{moment}\n\n"
        f"{SIGNED_HEADERS}\n{digest}"
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = _signing_key(credentials.secret_key, moment[:8], credentials.region)
    signature = _hmac(key, f"{ALGORITHM}\n{moment}\n{scope}\n{hashed}").hex()
    return {
        "Host": host,
        "x-amz-content-sha256": digest,
        "x-amz-date": moment,
        "Authorization": (
            f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
        ),
    }


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
