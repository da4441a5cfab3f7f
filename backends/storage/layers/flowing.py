"""Sources that a layer puts between a body and its storage."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from backends.model import Facts
from backends.storage.protocol import Source


@dataclass(frozen=True, slots=True)
class Flow:
    """A Source whose blocks go through `through` on their way."""

    source: Source
    through: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]

    @property
    def size(self) -> int | None:
        return self.source.size

    @property
    def facts(self) -> Facts:
        return self.source.facts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.through(aiter(self.source))


@dataclass(frozen=True, slots=True)
class Flowing:
    """A Source of bytes that come from another storage."""

    pieces: AsyncGenerator[bytes, None]
    size: int
    facts: Facts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pieces


@dataclass(frozen=True, slots=True)
class Begun:
    """A Source whose first blocks were looked at already: `blocks` has them again, and the rest."""

    source: Source
    blocks: AsyncIterator[bytes]

    @property
    def size(self) -> int | None:
        return self.source.size

    @property
    def facts(self) -> Facts:
        return self.source.facts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.blocks
