"""Ranges of keys, as conditions of SQL: a prefix is a range, so that an index serves it."""

from typing import Final

from backends.model import KeyRange

LAST_CHARACTER: Final = "\U0010ffff"
FIRST_SURROGATE: Final = 0xD800
BEHIND_SURROGATES: Final = 0xE000
LONGEST_KEY: Final = 1024  # bytes, as S3 allows
BEYOND: Final = LAST_CHARACTER * (LONGEST_KEY // 4)


def key_range(prefix: str, after: str, column: str = "key") -> tuple[str, tuple[str, ...]]:
    """The condition for texts above `after` that begin with the prefix, and its parameters."""
    compare, low = (">=", prefix) if prefix > after else (">", after)
    high = successor(prefix)
    if high is None:
        return f"{column} {compare} ?", (low,)
    return f"{column} {compare} ? AND {column} < ?", (low, high)


def successor(prefix: str) -> str | None:
    """The lowest text above all that begin with the prefix; None where there is none."""
    stem = prefix.rstrip(LAST_CHARACTER)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(BEHIND_SURROGATES if following == FIRST_SURROGATE else following)


def range_of(prefix: str) -> KeyRange:
    """The keys that begin with the prefix, if they are no longer than a key may be."""
    if not prefix:
        return KeyRange()
    return KeyRange(_below(prefix), prefix + BEYOND)


def _below(text: str) -> str:
    """A text below that one, with no key between them."""
    last = ord(text[-1])
    if not last:
        return text[:-1]
    preceding = FIRST_SURROGATE if last == BEHIND_SURROGATES else last
    return text[:-1] + chr(preceding - 1) + BEYOND
