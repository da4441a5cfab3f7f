"""A process of its own that puts into a local store: what never ends, or on a full disk."""

import asyncio
import resource
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from backends.errors import NoSpace
from backends.model import Facts, Version
from backends.storage.local import LocalStore

BLOCK = bytes(64 * 1024)
ROOM = 512 * 1024
FACTS = Facts(Version(1, "here"))


@dataclass(frozen=True)
class Zeros:
    """So many blocks, or blocks without an end, told to the parent once the first were taken."""

    blocks: int | None
    facts: Facts = FACTS
    size: int | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = 0
        while sent != self.blocks:
            yield BLOCK
            sent += 1
            if sent == 3:
                say("streaming")
            if self.blocks is None and sent > 3:
                await asyncio.Event().wait()


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def stream(root: Path) -> None:
    """Put what never ends."""
    await LocalStore.open(root, durable=False).put("photos", "cat", Zeros(None))


async def fill(root: Path) -> None:
    """Put more than a file may hold here, which the disk answers as when it is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = LocalStore.open(root, durable=False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
    try:
        await store.put("photos", "cat", Zeros(2 * ROOM // len(BLOCK)))
    except NoSpace:
        say("no space")
    await store.close()


if __name__ == "__main__":
    asyncio.run({"stream": stream, "fill": fill}[sys.argv[1]](Path(sys.argv[2])))
