"""What is on its way into the buffer: bodies that arrive, and multipart uploads that live there."""

import sqlite3
from collections.abc import Callable
from typing import Any

from backends.database import Database
from backends.errors import Busy, UploadNotFound


class Arrivals:
    """Rows of the journal that keep room, and that say which bytes are needed."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self._database = database
        self._now = now

    async def reserve(self, token: str, holder: str, size: int, most: int) -> None:
        """Keep room for a body of so many bytes so far. Busy where `most` would be exceeded."""

        def work(connection: sqlite3.Connection) -> None:
            (used,) = connection.execute("SELECT bytes FROM space").fetchone()
            known = connection.execute(
                "SELECT size FROM arriving WHERE token = ?", (token,)
            ).fetchone()
            if used - (known[0] if known else 0) + size > most:
                raise Busy(
                    f"the buffer is full: {used} of {most} bytes wait for the storage, and"
                    f" {size} more do not fit"
                )
            connection.execute(
                "INSERT INTO arriving VALUES (?, ?, ?)"
                " ON CONFLICT (token) DO UPDATE SET size = excluded.size",
                (token, holder, size),
            )

        await self._database.write(work, durable=False)

    async def release(self, token: str) -> None:
        """Let go of the room of a body that did not arrive."""
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM arriving WHERE token = ?", (token,)),
            durable=False,
        )

    def holders(self) -> list[str]:
        """The processes that receive bodies."""
        return [name for (name,) in self._database.read("SELECT DISTINCT holder FROM arriving")]

    async def release_all(self, holder: str) -> None:
        """Let go of the room of a process that is gone."""
        await self._execute("DELETE FROM arriving WHERE holder = ?", holder)

    async def begin_upload(self, token: str, bucket: str, key: str, name: str) -> None:
        """Note an upload that lives in the buffer; `name` is the gateway's name for it."""
        await self._execute(
            "INSERT INTO uploads (token, bucket, key, name) VALUES (?, ?, ?, ?)",
            token,
            bucket,
            key,
            name,
        )

    def require_upload(self, token: str) -> None:
        """Return if the upload lives. UploadNotFound."""
        sql = "SELECT 1 FROM uploads WHERE token = ? AND ended IS NULL"
        if not self._database.read(sql, (token,)):
            raise UploadNotFound("the buffer has no such upload")

    def has_upload(self, name: str) -> bool:
        """Whether an upload of that name lives in the buffer, or did until lately."""
        return bool(self._database.read("SELECT 1 FROM uploads WHERE name = ?", (name,)))

    def uploads_of(self, bucket: str) -> list[str]:
        """The uploads of a bucket that live in the buffer."""
        sql = "SELECT token FROM uploads WHERE bucket = ? AND ended IS NULL"
        return [token for (token,) in self._database.read(sql, (bucket,))]

    async def add_part(self, upload: str, token: str) -> None:
        """Turn the room of an arriving part into the upload's. UploadNotFound."""

        def work(connection: sqlite3.Connection) -> None:
            (size,) = connection.execute(
                "SELECT size FROM arriving WHERE token = ?", (token,)
            ).fetchone()
            connection.execute("DELETE FROM arriving WHERE token = ?", (token,))
            changed = connection.execute(
                "UPDATE uploads SET size = size + ? WHERE token = ? AND ended IS NULL",
                (size, upload),
            )
            if not changed.rowcount:
                raise UploadNotFound("the buffer has no such upload")

        await self._database.write(work)

    async def end_upload(self, token: str) -> bool:
        """Whether the upload lived until now."""
        return await self._database.write(
            lambda connection: end_upload(connection, token, self._now())
        )

    async def forget_uploads(self, *, ended_before: int) -> None:
        """Forget uploads that ended before so many milliseconds since the epoch."""
        await self._execute("DELETE FROM uploads WHERE ended < ?", ended_before)

    async def _execute(self, sql: str, *values: Any) -> None:
        await self._database.write(lambda connection: connection.execute(sql, values))


def end_upload(connection: sqlite3.Connection, token: str, now: int) -> bool:
    """Inside a write: the upload is over; whether it lived until now."""
    ended = connection.execute(
        "UPDATE uploads SET ended = ?, size = 0 WHERE token = ? AND ended IS NULL", (now, token)
    )
    return ended.rowcount > 0
