"""Signature Version 4 of the requests we send (Amazon S3 API: Authenticating Requests)."""

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from backends.sigv4 import signing_key

UNSIGNED: Final = "UNSIGNED-PAYLOAD"
EMPTY: Final = hashlib.sha256(b"").hexdigest()
UNRESERVED: Final = "-._~"
PLAIN: Final = re.compile(r"[A-Za-z0-9/._~-]*").fullmatch


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials that are good for now; `token` is that of a session, or ""."""

    access: str
    secret: str
    token: str = ""


def encode_path(path: str) -> str:
    """A path as it is sent and signed: each byte percent-encoded once, slashes as they are."""
    return path if PLAIN(path) else quote(path, safe="/" + UNRESERVED)


def encode_query(query: Iterable[tuple[str, str]]) -> str:
    """A query as it is sent and signed: sorted, each byte percent-encoded once."""
    pairs = sorted(
        (quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED)) for name, value in query
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def sign(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    keys: Keys,
    region: str,
    *,
    payload: str = UNSIGNED,
    now: float | None = None,
) -> dict[str, str]:
    """`headers` (lower-case names) with those of the signature, over all of them.

    `path` and `query` are encoded already.
    """
    stamp = _stamp(int(time.time() if now is None else now))
    signed = {**headers, "host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    names = sorted(signed)
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
    listed = ";".join(names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{payload}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(
        signing_key(keys.secret, stamp[:8], region), text.encode(), "sha256"
    ).hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=8)
def _stamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
