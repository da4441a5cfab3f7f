"""What an ETag tells of the bytes."""

from typing import Final

MD5_LENGTH: Final = 32
HEX: Final = frozenset("0123456789abcdef")
DASH: Final = "-"


def is_md5(etag: str) -> bool:
    """Whether an ETag is the MD5 of the bytes, not that of a multipart upload."""
    return len(etag) == MD5_LENGTH and HEX.issuperset(etag)


def are_comparable(one: str, other: str) -> bool:
    """Whether ETags that differ tell of other bytes: two MD5s, or two of as many parts."""
    form = _form(one)
    return form is not None and form == _form(other)


def _form(etag: str) -> str | None:
    """How many parts the ETag is of, "" for an MD5; None where that cannot be told."""
    digest, dash, parts = etag.partition(DASH)
    if not is_md5(digest) or bool(dash) != parts.isdecimal():
        return None
    return parts
