"""Ranges of keys, as conditions of SQL: a prefix is a range, so that an index serves it."""

from typing import Final

LAST_CHARACTER: Final = "\U0010ffff"
FIRST_SURROGATE: Final = 0xD800
BEHIND_SURROGATES: Final = 0xE000


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
