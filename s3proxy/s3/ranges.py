"""Byte ranges: those a GET asks for (RFC 9110, 14.2, as S3 takes it) and those a copy reads."""

import re
from typing import Final, NamedTuple

from s3proxy.s3.errors import S3Error

COPY_RANGE: Final = "x-amz-copy-source-range"

_RANGE: Final = re.compile(r"[ \t]*bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_COPY_RANGE: Final = re.compile(r"bytes=([0-9]+)-([0-9]+)")
_DIGITS: Final = 19
_BEYOND: Final = 10**_DIGITS


class Span(NamedTuple):
    """`length` bytes from the offset `start`."""

    start: int
    length: int


def parse_range(header: str, size: int) -> Span | None:
    """The bytes of an object of `size` that a Range header asks for.

    None means all of them: S3 ignores a header that is malformed or names several ranges.
    InvalidRange (416) where the object has none of the bytes.
    """
    found = _RANGE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, last = max(size - _number(found[2]), 0), size - 1
    else:
        start, last = _number(found[1]), _number(found[2]) if found[2] else _BEYOND
        if last < start:
            return None
    last = min(last, size - 1)
    if last < start:
        raise _unsatisfiable(header, size)
    return Span(start, last - start + 1)


def parse_copy_range(header: str, size: int) -> Span:
    """The bytes of a source of `size` to copy into a part (S3 API, UploadPartCopy).

    InvalidArgument unless it is bytes=first-last, InvalidRange where it ends outside the source.
    """
    found = _COPY_RANGE.fullmatch(header)
    start, last = (_number(found[1]), _number(found[2])) if found else (1, 0)
    if last < start:
        raise S3Error(
            "InvalidArgument",
            f"{COPY_RANGE} must be bytes=first-last, the offsets of the first and last byte.",
            details={"ArgumentName": COPY_RANGE, "ArgumentValue": header},
        )
    if last >= size:
        raise _unsatisfiable(header, size)
    return Span(start, last - start + 1)


def _number(digits: str) -> int:
    """Its value, or one beyond every object where there are too many digits to care."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _DIGITS else _BEYOND


def _unsatisfiable(header: str, size: int) -> S3Error:
    return S3Error(
        "InvalidRange",
        details={"RangeRequested": header, "ActualObjectSize": str(size)},
        headers={"content-range": f"bytes */{size}"},
    )
