"""What an ETag tells of the bytes."""

from typing import Final

MD5_LENGTH: Final = 32
HEX: Final = frozenset("0123456789abcdef")


def is_md5(etag: str) -> bool:
    """Whether an ETag is the MD5 of the bytes, not that of a multipart upload."""
    return len(etag) == MD5_LENGTH and HEX.issuperset(etag)
