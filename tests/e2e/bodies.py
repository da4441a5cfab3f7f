"""Bodies that are the same for the same seed."""

import hashlib
import random
from pathlib import Path

KIB = 1024
MIB = 1024 * KIB


def body(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def file_of(path: Path, size: int, seed: int = 0) -> Path:
    """Write a file of that many bytes, a piece at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    with path.open("wb") as out:
        for start in range(0, size, MIB):
            out.write(source.randbytes(min(MIB, size - start)))
    return path


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
