"""Where operators are kept: documents of this site, or a file where there is no database."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import DecodeError, json

from backends.errors import AlreadyExists, Corrupt, PreconditionFailed
from backends.model import Precondition
from replication.documents import Documents
from s3proxy.admin.operators import Operator
from s3proxy.private_file import write_private

UNDER: Final = "operators/"
ABSENT: Final = Precondition(none_match="*")


class OperatorDocuments:
    """Operators among the documents of this site; its bucket must be there."""

    def __init__(self, own: Documents) -> None:
        self._own = own

    async def every(self) -> list[Operator]:
        return await self._own.values(UNDER, Operator)

    async def add(self, operator: Operator) -> None:
        try:
            await self._own.put(UNDER + operator.name, operator, condition=ABSENT)
        except PreconditionFailed as error:
            raise taken(operator) from error

    async def drop(self, name: str) -> bool:
        return await self._own.drop(UNDER + name)


class OperatorFile:
    """Operators in a file, read anew each time, for gateways without a database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def every(self) -> list[Operator]:
        return self._read()

    async def add(self, operator: Operator) -> None:
        with self._alone():
            known = self._read()
            if operator.name in {one.name for one in known}:
                raise taken(operator)
            self._write([*known, operator])

    async def drop(self, name: str) -> bool:
        with self._alone():
            known = self._read()
            left = [one for one in known if one.name != name]
            self._write(left)
            return len(left) < len(known)

    def _read(self) -> list[Operator]:
        try:
            found = json.decode(self._path.read_bytes(), type=list[Operator])
        except FileNotFoundError:
            return []
        except DecodeError as error:
            raise Corrupt(f"{self._path} is not a file of operators: {error}") from error
        return sorted(found, key=lambda one: one.name)

    def _write(self, operators: list[Operator]) -> None:
        write_private(self._path, json.format(json.encode(operators)).decode())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the file meanwhile."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def taken(operator: Operator) -> AlreadyExists:
    return AlreadyExists(f"there is an operator {operator.name} already")
