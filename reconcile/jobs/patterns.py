"""Names as orders give them: one thing's own, or a pattern of several."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

SPECIAL: Final = frozenset("*?[")


def is_pattern(name: str) -> bool:
    """Whether it can mean several things."""
    return not SPECIAL.isdisjoint(name)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of them means the thing of that name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
