"""Processes that receive bodies: each holds a lock that its death lets go of."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from backends.storage.layers.buffered.names import new_token

PRIVATE: Final = 0o600
FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class Holder:
    """Stands for this process among those that share a folder. Blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name, self._file = self._take()

    def lives(self, name: str) -> bool:
        """Whether the process of that name is still there."""
        if name == self.name:
            return True
        with suppress(FileNotFoundError):
            return not self._let_go(name)
        return False

    def tidy(self) -> None:
        """Remove what processes left that ended without a word."""
        for path in self._folder.iterdir():
            if not self.lives(path.name):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        (self._folder / self.name).unlink(missing_ok=True)
        os.close(self._file)

    def _take(self) -> tuple[str, int]:
        """A sweep that came between the file and its lock took it: again."""
        while True:
            name = new_token()
            file = os.open(self._folder / name, FLAGS, PRIVATE)
            fcntl.flock(file, fcntl.LOCK_EX)
            if (self._folder / name).exists():
                return name, file
            os.close(file)

    def _let_go(self, name: str) -> bool:
        """Whether nobody holds the lock of that name. FileNotFoundError."""
        file = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(file)
