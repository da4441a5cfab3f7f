"""Numbered migrations, as every database of ours counts them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """`found` is the number of the last migration a database has seen, 0 for an empty one.

    `wanted` is the number of the last one that this program knows.
    """

    found: int
    wanted: int

    @property
    def current(self) -> bool:
        return self.found == self.wanted

    @property
    def newer(self) -> bool:
        """Whether a later version of this program has migrated it already."""
        return self.found > self.wanted
