"""Arguments of a query or a header, read strictly."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from s3proxy.s3.errors import S3Error

MAX_PAGE: Final = 1000
MAX_NUMBER: Final = 2**31 - 1
MAX_PARTS: Final = 10_000


def number(
    source: Mapping[str, str], name: str, default: int, least: int = 0, most: int = MAX_NUMBER
) -> int:
    """A decimal number from `least` to `most`; InvalidArgument for anything else."""
    text = source.get(name, "")
    if not text:
        return default
    digits = len(str(most)) + 1
    if not (text.isascii() and text.isdigit()) or not least <= int(text[:digits]) <= most:
        raise S3Error(
            "InvalidArgument",
            f"{name} must be a number from {least} to {most}, not {text[:40]!r}.",
            details={"ArgumentName": name, "ArgumentValue": text[:100]},
        )
    return int(text)


def page_size(source: Mapping[str, str], name: str, most: int = MAX_PAGE) -> int:
    """How many entries a page may have: what is asked for, but never more than `most`."""
    return min(number(source, name, most), most)


def part_number(source: Mapping[str, str], name: str = "partNumber") -> int:
    """A part's number, 1 to 10,000; InvalidArgument."""
    text = source.get(name, "")
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:6]) <= MAX_PARTS:
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive.",
            details={"ArgumentName": name, "ArgumentValue": text[:100]},
        )
    return int(text)


def url_encoding(query: Mapping[str, str]) -> bool:
    """Whether names are wanted percent-encoded; InvalidArgument for another encoding."""
    encoding = query.get("encoding-type", "")
    if encoding not in {"", "url"}:
        raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request.")
    return bool(encoding)


def to_token(place: str) -> str:
    """An opaque continuation token for a place in a listing."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def from_token(token: str) -> str:
    """The place a token stands for; InvalidArgument."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise S3Error("InvalidArgument", "The continuation token is not valid.") from error


def require_no_version(query: Mapping[str, str]) -> None:
    """Return if no version is named but "null", the only one objects have here."""
    version = query.get("versionId", "null")
    if version != "null":
        raise S3Error("NoSuchVersion", f"The object has no version {version[:100]!r}.")
