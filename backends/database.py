"""One SQLite file: reads inline on the caller's thread, writes by one thread in group commits.

A write is a function of the connection. Writes that wait together share one transaction and one
sync to disk, each inside its own savepoint, so one that fails takes no other with it. Reads that
take longer than others may wait have a thread, too, one after the other. Several processes may open
the same file: a lock file queues their transactions in the kernel, which is fairer and faster than
SQLite's own polling.
"""

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from backends.errors import BackendError, Corrupt, NoSpace, NotSupported, Unavailable

BATCH: Final = 256
BUSY_SECONDS: Final = 30
CHECKPOINT_PAGES: Final = 4000
CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
PRIVATE: Final = 0o600

Record = tuple[Any, ...]
Migration = str | Callable[[sqlite3.Connection], None]
T = TypeVar("T")


@dataclass(slots=True)
class _Write:
    work: Callable[[sqlite3.Connection], Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = field(default=None)


class Database:
    """Raises NoSpace, Unavailable, Corrupt; NotSupported for a file of a newer schema.

    `migrations` are SQL scripts, or functions that execute statements; the file's `user_version` is
    how many of them it has seen.
    Without `durable` nothing is synced: a power cut may lose the last writes, a crash does not.
    """

    def __init__(
        self, path: Path, migrations: Sequence[Migration], *, durable: bool = True
    ) -> None:
        self._path = path
        self._durable = durable
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        with neutral_errors(path), ExitStack() as opened:
            self._lock = os.open(f"{path}.lock", CREATE, PRIVATE)
            opened.callback(os.close, self._lock)
            with self._exclusive():
                os.close(os.open(path, CREATE, PRIVATE))
                self._writer = opened.enter_context(closing(_connect(path)))
                self._reader = opened.enter_context(closing(_connect(path)))
                self._scanner = opened.enter_context(closing(_connect(path)))
                self._writer.execute("PRAGMA journal_mode = WAL")
                self._writer.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
                _migrate(self._writer, migrations, path)
                self._reader.execute("SELECT 1 FROM sqlite_schema").fetchone()
                self._identity = _identity_of(path)
            self._open = opened.pop_all()
        self._scans = ThreadPoolExecutor(1, f"scan {path.name}")
        self._synchronous: bool | None = None
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        self._thread.start()

    def ping(self) -> None:
        """Return if the file can be read, and is where it was. Unavailable."""
        self.read("SELECT 1")
        self._require_same_file()

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Record]:
        """All rows of a short query, on this thread: microseconds, so no hop is worth it."""
        with neutral_errors(self._path):
            return self._reader.execute(sql, parameters).fetchall()

    async def scan(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` reads of many rows, in a thread with a connection of its own.

        A caller that is cancelled is told so once the work has ended.
        """
        scan = asyncio.get_running_loop().run_in_executor(self._scans, self._scan, work)
        try:
            return await asyncio.shield(scan)
        except asyncio.CancelledError:
            await asyncio.wait([scan])
            raise

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """What `work` returns, once its transaction is on disk. Without `durable` it may not be.

        An error that `work` raises undoes what it did and is raised here. A caller that is
        cancelled is told so once the write has ended, but not how.
        """
        loop = asyncio.get_running_loop()
        write = _Write(work, durable, loop, loop.create_future())
        self._queue.put(write)
        try:
            result: T = await asyncio.shield(write.future)
        except asyncio.CancelledError:
            await asyncio.wait([write.future])
            raise
        return result

    async def close(self) -> None:
        """Finish what is queued, then close the file."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._scans.shutdown)
        self._open.close()

    def _scan(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with neutral_errors(self._path):
            return work(self._scanner)

    def _run(self) -> None:
        while (write := self._queue.get()) is not None:
            batch = [write]
            last = not self._fill(batch)
            self._commit(batch)
            _deliver(batch)
            if last:
                return

    def _fill(self, batch: list[_Write]) -> bool:
        """Add what waits already; False once the end of the queue was seen."""
        while len(batch) < BATCH:
            try:
                write = self._queue.get_nowait()
            except Empty:
                return True
            if write is None:
                return False
            batch.append(write)
        return True

    def _commit(self, batch: list[_Write]) -> None:
        try:
            with neutral_errors(self._path), self._exclusive():
                self._require_same_file()
                self._sync(self._durable and any(write.durable for write in batch))
                self._transact(batch)
        except BackendError as error:
            for write in batch:
                write.error = write.error or error

    def _require_same_file(self) -> None:
        """What is written into a file that has no name any more is lost. Unavailable."""
        if _identity_of(self._path) != self._identity:
            raise Unavailable(
                f"{self._path} was removed or replaced while it was in use: restart the gateway"
            )

    def _sync(self, wanted: bool) -> None:
        if wanted is not self._synchronous:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if wanted else 'NORMAL'}")
            self._synchronous = wanted

    def _transact(self, batch: list[_Write]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for write in batch:
                self._apply(write)
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _apply(self, write: _Write) -> None:
        """Run one write; only an error that ended the whole transaction is raised."""
        self._writer.execute("SAVEPOINT one")
        try:
            with neutral_errors(self._path):
                write.result = write.work(self._writer)
        except Exception as error:
            if not self._writer.in_transaction:
                raise
            write.error = error
            self._writer.execute("ROLLBACK TO one")
        self._writer.execute("RELEASE one")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def _identity_of(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of its name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], path: Path) -> None:
    (seen,) = connection.execute("PRAGMA user_version").fetchone()
    if seen > len(migrations):
        raise NotSupported(
            f"{path} has schema {seen} and this program knows {len(migrations)}: run a newer ccs"
        )
    for number, migration in enumerate(migrations[seen:], start=seen + 1):
        if isinstance(migration, str):
            connection.executescript(
                f"BEGIN;\n{migration}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        else:
            connection.execute("BEGIN")
            migration(connection)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")


def _deliver(batch: list[_Write]) -> None:
    """Hand the results to the waiting tasks, with one wake-up a loop."""
    for loop in {write.loop for write in batch}:
        ours = [write for write in batch if write.loop is loop]
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, ours)


def _resolve(batch: list[_Write]) -> None:
    for write in batch:
        if write.future.cancelled():
            continue
        if write.error is not None:
            write.future.set_exception(write.error)
        else:
            write.future.set_result(write.result)


NEUTRAL: Final[dict[int, type[BackendError]]] = {
    sqlite3.SQLITE_FULL: NoSpace,
    sqlite3.SQLITE_CORRUPT: Corrupt,
    sqlite3.SQLITE_NOTADB: Corrupt,
}


@contextmanager
def neutral_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as neutral ones that name the file."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise NEUTRAL.get(code, Unavailable)(f"{path}: {error}") from error
    except OSError as error:
        raise Unavailable(f"{path}: {error}") from error
