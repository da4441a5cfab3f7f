"""Sources for bytes that are at hand already."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from backends.model import Facts


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A small body held in memory."""

    data: bytes
    facts: Facts

    @property
    def size(self) -> int:
        return len(self.data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.data:
            yield self.data
