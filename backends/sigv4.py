"""The key of Signature Version 4 (AWS General Reference: Create a signed request)."""

import hmac
from functools import lru_cache
from typing import Final

CACHED_KEYS: Final = 1024


@lru_cache(maxsize=CACHED_KEYS)
def signing_key(secret: str, date: str, region: str) -> bytes:
    """The key that signs for one day (YYYYMMDD) in one region."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
