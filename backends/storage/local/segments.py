"""Segment files: immutable once they are published, named by nothing a client sent.

A segment is written under `incoming/` with its lock held, and moves to `segments/` when the
catalog knows it. So a file in `incoming/` whose lock is free has lost its writer, and the catalog
tells whether to publish or to remove it. Every function here blocks: call it in a thread.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backends.errors import BackendError, NoSpace, NotFound, Unavailable

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PRIVATE: Final = 0o600
SUBFOLDER: Final = 2


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Raise what the disk says as neutral errors."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"{what}: {error}") from error
    except OSError as error:
        kind: type[BackendError] = NoSpace if error.errno in FULL else Unavailable
        raise kind(f"{what}: {error}") from error


@dataclass(slots=True)
class Incoming:
    """A segment that is being written; `file` is open and locked."""

    name: str
    file: int
    size: int = 0


class Segments:
    """The segment files below one folder."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self._incoming = root / "incoming"
        self._published = root / "segments"
        self._durable = durable
        with disk_errors(str(root)):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._incoming.mkdir(mode=0o700, exist_ok=True)
            self._published.mkdir(mode=0o700, exist_ok=True)

    def create(self) -> Incoming:
        """A new segment, locked. A sweep that came between its creation and lock took it: again."""
        while True:
            name = secrets.token_hex(16)
            path = self._incoming / name
            with disk_errors("a new segment"):
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
                fcntl.flock(file, fcntl.LOCK_EX)
                if path.exists():
                    return Incoming(name, file)
                os.close(file)

    def write(self, incoming: Incoming, block: bytes) -> None:
        """Append the block, all of it."""
        with disk_errors(f"segment {incoming.name}"):
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(incoming.file, rest) :]
        incoming.size += len(block)

    def sync(self, incoming: Incoming) -> None:
        """Bring what was written to the disk, the file's name with it."""
        if not self._durable:
            return
        with disk_errors(f"segment {incoming.name}"):
            os.fsync(incoming.file)
            self._sync_folder(self._incoming)

    def publish(self, incoming: Incoming) -> None:
        """Move it to its place, now that the catalog names it."""
        try:
            self._move(incoming.name)
        finally:
            os.close(incoming.file)

    def leave(self, incoming: Incoming) -> None:
        """Let go of it; a sweep finds out whether the catalog names it."""
        os.close(incoming.file)

    def abandon(self, incoming: Incoming) -> None:
        """Remove what was written."""
        with suppress(FileNotFoundError):
            (self._incoming / incoming.name).unlink()
        os.close(incoming.file)

    def open(self, name: str) -> int:
        """The open file of a segment that the catalog names, in its place yet or not. NotFound."""
        published, incoming = self._path(name), self._incoming / name
        with disk_errors(f"segment {name}"):
            for path in (published, incoming):
                with suppress(FileNotFoundError):
                    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return os.open(published, os.O_RDONLY | os.O_CLOEXEC)

    def require(self, names: list[str]) -> None:
        """Return if these are there, in their place or on their way to it. NotFound."""
        for name in names:
            if not (self._incoming / name).exists() and not self._path(name).exists():
                raise NotFound(f"segment {name} is not on the disk")

    def remove(self, names: list[str]) -> None:
        """Remove segments, on their way to their place too; those that are gone are no error."""
        for name in names:
            with disk_errors(f"segment {name}"):
                (self._incoming / name).unlink(missing_ok=True)
                self._path(name).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """Publish or remove what crashed writers left; how many files."""
        with disk_errors(str(self._incoming)):
            return sum(self._settle(path, is_known) for path in list(self._incoming.iterdir()))

    def _settle(self, path: Path, is_known: Callable[[str], bool]) -> bool:
        with suppress(FileNotFoundError):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_known(path.name):
                    self._move(path.name)
                else:
                    path.unlink()
            except BlockingIOError:
                return False
            else:
                return True
            finally:
                os.close(file)
        return False

    def _move(self, name: str) -> None:
        """Publish the file, unless its object was deleted in the meantime and it went too."""
        target = self._path(name)
        with disk_errors(f"segment {name}"):
            target.parent.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):
                (self._incoming / name).rename(target)

    def _path(self, name: str) -> Path:
        return self._published / name[:SUBFOLDER] / name

    def _sync_folder(self, folder: Path) -> None:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)
