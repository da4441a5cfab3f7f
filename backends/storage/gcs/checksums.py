"""The CRC32C of bytes that were joined, from those of the pieces (RFC 9260, appendix A)."""

import base64
from collections.abc import Iterable
from typing import Final

import anycrc

MODEL: Final = anycrc.Model("CRC32C")
LENGTH: Final = 4


def joined(parts: Iterable[tuple[str, int]]) -> str:
    """The CRC32C in base64 of the whole, from each part's in base64 and its bytes, in order."""
    whole = 0
    for digest, size in parts:
        whole = MODEL.combine(whole, int.from_bytes(base64.b64decode(digest), "big"), size)
    return base64.b64encode(whole.to_bytes(LENGTH, "big")).decode()
