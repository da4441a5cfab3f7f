"""Bodies as they come from clients: in blocks, of known length or not, that may fail."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from backends.model import Facts, Version

FIRST: Final = Facts(Version(1, "here"))


@dataclass
class Blocks:
    """A source in blocks of any size, that may fail or stall at its end."""

    data: bytes
    step: int
    error: Exception | None = None
    stalls: asyncio.Event | None = None
    size: int | None = None
    facts: Facts = FIRST
    late: Facts | None = None  # what the facts are once the last block is handed out

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), self.step):
            if self.late and at + self.step >= len(self.data):
                self.facts = self.late
            yield self.data[at : at + self.step]
        if self.stalls:
            self.stalls.set()
            await asyncio.Event().wait()
        if self.error:
            raise self.error
