"""A process of its own that dies at a step of a buffered write, as kill -9 would have it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from backends.errors import Unavailable
from backends.model import Bucket, Facts, Version
from backends.storage.layers.buffered import Buffered, BufferOptions
from backends.storage.layers.buffered.bodies import Bodies
from backends.storage.layers.buffered.flusher import Flusher
from backends.storage.layers.buffered.journal import Journal
from backends.storage.layers.forwarding import Forwarding
from backends.storage.local import LocalStore
from backends.storage.protocol import Source, Stored, StoredPart
from backends.storage.source import BytesSource

BUCKET: Final = "photos"
JOIN: Final = "join"
OLD: Final = Facts(Version(1, "here"), 3, "old")
NEW: Final = Facts(Version(2, "here"), 100_000, "new")
BODY: Final = bytes(100_000)
STEPS: Final[dict[str, tuple[type, str]]] = {
    "before the bytes": (LocalStore, "put"),
    "after the bytes": (Bodies, "receive"),
    "after the journal": (Journal, "store"),
    "before it is stored": (Flusher, "_put"),
    "after it is stored": (Flusher, "_forget"),
    "after the entry is removed": (Bodies, "drop"),
}


class Down(Forwarding):
    """A storage that takes no puts for now."""

    down = True

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        if self.down:
            raise Unavailable("down")
        return await super().put(bucket, key, source, replacing=replacing)

    async def create_upload(self, bucket: str, key: str, facts: Facts) -> str:
        raise Unavailable(f"down: {bucket}/{key} {facts.version}")


def buffer_over(root: Path) -> tuple[Buffered, Down]:
    """A buffer and the storage in it, which is a folder too."""
    storage = Down(LocalStore.open(root / "storage", keeps_replaced=False))
    return Buffered(storage, BufferOptions(root / "buffer")), storage


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("dead")


def deadly(verb: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """The verb, but the process dies before or after it."""

    async def dying(*arguments: Any, **named: Any) -> None:
        if after:
            await verb(*arguments, **named)
        die()

    return dying


async def write(root: Path, step: str) -> None:
    """Put the new over the old while the storage is down, then store it; die at the step."""
    store, storage = buffer_over(root)
    owner, name = STEPS[step]
    before = name in {"put", "_put", "_forget"}
    await store.create_bucket(Bucket(BUCKET, "ann", 1))
    storage.down = False
    await store.put(BUCKET, "cat", BytesSource(b"old", OLD))
    storage.down = True
    if name != "drop":
        setattr(owner, name, deadly(getattr(owner, name), after=not before))
    await store.put(BUCKET, "cat", BytesSource(BODY, NEW))
    say("answered")
    storage.down = False
    if name == "drop":
        setattr(owner, name, deadly(getattr(owner, name), after=False))
    await store.flush_due()


async def complete(root: Path) -> None:
    """Complete an upload in the buffer, and die when its parts are joined."""
    store, _ = buffer_over(root)
    await store.create_bucket(Bucket(BUCKET, "ann", 1))
    token = await store.create_upload(BUCKET, "cat", NEW)
    part = await store.put_part(BUCKET, "cat", token, 1, BytesSource(BODY, NEW))
    say(f"{token} {part}")
    setattr(Bodies, JOIN, deadly(Bodies.join, after=True))
    await store.complete_upload(BUCKET, "cat", token, [StoredPart(1, part, len(BODY))], NEW)


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[2] == "complete":
        asyncio.run(complete(Path(sys.argv[1])))
    else:
        asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))
