"""Clients' keys in one file, for gateways without a database."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import DecodeError, ValidationError, json

from backends.errors import Corrupt, NotFound
from backends.model import AccessKey


class KeyFile:
    """Reads the file anew at each question, so that running servers see what a command changes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, key: AccessKey) -> None:
        """Add a key, or replace the one of the same name. Readable for the owner alone."""
        with self._alone():
            keys = {known.access_key: known for known in self.all()} | {key.access_key: key}
            self._write(list(keys.values()))

    def drop(self, access_key: str) -> None:
        """Remove a key. NotFound."""
        with self._alone():
            gone = self.find(access_key)
            self._write([key for key in self.all() if key != gone])

    def find(self, access_key: str) -> AccessKey:
        """NotFound."""
        for key in self.all():
            if key.access_key == access_key:
                return key
        raise NotFound(f"there is no access key {access_key}")

    def all(self) -> list[AccessKey]:
        """By access key."""
        try:
            keys = json.decode(self._path.read_bytes(), type=list[AccessKey])
        except FileNotFoundError:
            return []
        except (DecodeError, ValidationError) as error:
            raise Corrupt(f"{self._path} is not a file of keys: {error}") from error
        return sorted(keys, key=lambda key: key.access_key)

    def _write(self, keys: list[AccessKey]) -> None:
        new = self._path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(json.format(json.encode(keys)))
            out.flush()
            os.fsync(out.fileno())
        new.rename(self._path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the file meanwhile."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
