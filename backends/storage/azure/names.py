"""Names that Azure takes, for those that S3 takes."""

import re
from collections.abc import Callable
from typing import Final

from backends.errors import InvalidName

RULES: Final[tuple[tuple[Callable[[str], object], str], ...]] = (
    (re.compile(r"\.").search, "no dots"),
    (re.compile(r".{0,2}|.{64,}", re.DOTALL).fullmatch, "3 to 63 characters"),
    (re.compile(r"[^a-z0-9-]").search, "only lower-case letters, digits and hyphens"),
    (re.compile(r"^-|--|-$").search, "hyphens only one at a time, between letters or digits"),
)
HEX: Final = r"00(?:[01][0-9A-F]|25|2E|5C|7F|[89][0-9A-F])|FFF[EF]"
WRITTEN: Final = re.compile(rf"%%({HEX})")
DOTS: Final = r"(?<![^/])\.(?=\.?(?:/|\Z))|\.(?=/|\Z)"
RISKY: Final = re.compile(rf"[\x00-\x1f\x7f-\x9f\\\ufffe\uffff]|%(?=%(?:{HEX}))|{DOTS}")
UNDECIDED: Final = re.compile(r"(?:\.|%[^%.]{0,4})+\Z")
METADATA: Final = re.compile(r"[^a-z0-9]")
ESCAPED_METADATA: Final = re.compile(r"_([0-9a-f]+)_")


def broken_rule(bucket: str) -> str:
    """The rule for containers' names that a bucket's breaks; "" where it may be one.

    Azure: Naming and referencing containers, blobs, and metadata.
    """
    return next((rule for breaks, rule in RULES if breaks(bucket)), "")


def require_container(bucket: str) -> None:
    """InvalidName where a bucket's name is not one that a container can have."""
    if rule := broken_rule(bucket):
        raise InvalidName(f"the storage cannot have a bucket {bucket}: Azure takes {rule}")


def blob_of(key: str) -> str:
    """The blob's name for a key: the key itself, but for what Azure or a URL would change.

    Those are control characters and what XML cannot have, backslashes, segments of dots and dots
    that end a segment: two percent signs and four hexadecimal digits stand for each, and for a
    percent sign that would look like the begin of such.
    """
    return RISKY.sub(lambda found: f"%%{ord(found[0]):04X}", key)


def key_of(blob: str) -> str:
    """The key for a blob's name."""
    return WRITTEN.sub(lambda found: chr(int(found[1], 16)), blob)


def blob_prefix_of(prefix: str) -> str:
    """What the blobs of all keys with the prefix begin with, and perhaps some others.

    Whether dots and percent signs at its end are escaped depends on what follows them.
    """
    return blob_of(UNDECIDED.sub("", prefix))


def metadata_name(name: str) -> str:
    """Metadata names are C# identifiers on Azure: all else is written as its code point."""
    escaped = METADATA.sub(lambda found: f"_{ord(found[0]):x}_", name)
    return f"_{ord(escaped[0]):x}_{escaped[1:]}" if escaped[:1].isdigit() else escaped


def metadata_text(name: str) -> str:
    """The name that `metadata_name` was given."""
    return ESCAPED_METADATA.sub(lambda found: chr(int(found[1], 16)), name)
