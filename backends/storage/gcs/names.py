"""Names that Google Cloud Storage takes, for those that S3 takes."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from backends.errors import InvalidName

RULES: Final[tuple[tuple[Callable[[str], object], str], ...]] = (
    (re.compile(r".{0,2}|.{223,}", re.DOTALL).fullmatch, "3 to 63 characters, or 222 with dots"),
    (re.compile(r"[^.]{64}").search, "at most 63 characters between dots"),
    (re.compile(r"[^a-z0-9._-]").search, "only lower-case letters, digits, . _ and -"),
    (re.compile(r"^[^a-z0-9]|[^a-z0-9]\Z").search, "a letter or a digit first and last"),
    (re.compile(r"(\d{1,3}\.){3}\d{1,3}").fullmatch, "no IP addresses"),
    (re.compile(r"^goog|g[o0]{2}g[l1]e").search, "no names that begin with goog or hold google"),
)
CHALLENGE: Final = ".well-known/acme-challenge/"
HEX: Final = r"0A|0D|25|2E"
WRITTEN: Final = re.compile(rf"%%({HEX})")
RISKY: Final = re.compile(
    rf"[\r\n]|%(?=%(?:{HEX}))|^\.(?=\.?\Z)|(?<=^\.)\.\Z|^\.(?={re.escape(CHALLENGE[1:])})"
)
UNDECIDED: Final = re.compile(r"%%[02]\Z")


def require_bucket(bucket: str) -> None:
    """InvalidName where no bucket of the service can have the name.

    Cloud Storage: Bucket naming guidelines.
    """
    if rule := next((rule for breaks, rule in RULES if breaks(bucket)), ""):
        raise InvalidName(
            f"the storage cannot have a bucket {bucket}: Google Cloud Storage takes {rule}"
        )


def name_of(key: str) -> str:
    """The object's name: the key itself, but for what the service refuses.

    Those are line breaks, "." and "..", and names below its own challenge prefix: two percent
    signs and two hexadecimal digits stand for each, and for a percent sign that would look like
    the begin of such.
    """
    return RISKY.sub(lambda found: f"%%{ord(found[0]):02X}", key)


def key_of(name: str) -> str:
    """The key for an object's name."""
    return WRITTEN.sub(lambda found: chr(int(found[1], 16)), name)


def prefixes_of(prefix: str) -> Sequence[str]:
    """What the names of all keys with the prefix begin with, and perhaps some others, in order.

    Whether a dot or a percent sign at its end is escaped depends on what follows.
    """
    plain = name_of(f"{prefix}-")[:-1] if prefix else ""
    plain = UNDECIDED.sub("%", plain)
    dotted = prefix and any(key.startswith(prefix) for key in (".", "..", CHALLENGE))
    return (name_of("."), plain) if dotted and prefix != CHALLENGE else (plain,)
