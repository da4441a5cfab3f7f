"""Which of several storages a new bucket goes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

DEFAULT: Final = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A storage, the patterns of the names it takes, and the location that asks for it."""

    storage: str
    buckets: tuple[str, ...] = ()
    location: str = ""


class Placement:
    """The first rule that fits; the location that a client asks for goes before any name."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules

    def choose(self, bucket: str, location: str) -> str:
        """The name of the storage; DEFAULT where no rule fits."""
        for rule in self._rules:
            if location and rule.location == location:
                return rule.storage
        for rule in self._rules:
            if any(fnmatchcase(bucket, pattern) for pattern in rule.buckets):
                return rule.storage
        return DEFAULT
