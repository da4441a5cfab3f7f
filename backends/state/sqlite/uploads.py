"""Multipart uploads in SQLite."""

import sqlite3
from typing import Final

from msgspec import json

from backends.errors import UploadNotFound
from backends.model import Part, Upload
from backends.ranges import key_range
from backends.state.sqlite.records import (
    ENCODER,
    end_upload,
    require_bucket,
    require_upload,
)
from backends.state.sqlite.tables import Tables

UPLOAD: Final = json.Decoder(Upload)
PART: Final = json.Decoder(Part)
OF_UPLOAD: Final = "WHERE bucket = ? AND key = ? AND name = ?"


class UploadTable(Tables):
    """The verbs of the protocol that are about uploads."""

    async def create_upload(self, upload: Upload) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            require_bucket(connection, upload.bucket)
            connection.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)",
                (upload.bucket, upload.key, upload.name, upload.started, ENCODER.encode(upload)),
            )

        await self._database.write(insert)

    async def upload(self, bucket: str, key: str, name: str) -> Upload:
        found = self._database.read(f"SELECT upload FROM uploads {OF_UPLOAD}", (bucket, key, name))
        if not found:
            raise UploadNotFound(f"{bucket}/{key}: there is no upload {name}")
        return UPLOAD.decode(found[0][0])

    async def uploads(
        self, bucket: str, *, prefix: str, after: tuple[str, str], limit: int
    ) -> list[Upload]:
        self._require_bucket(bucket)
        condition, parameters = key_range(prefix, "")
        found = self._database.read(
            f"SELECT upload FROM uploads WHERE bucket = ? AND (key, name) > (?, ?) AND {condition}"
            " ORDER BY key, name LIMIT ?",
            (bucket, *max(after, (prefix, "")), *parameters, limit),
        )
        return [UPLOAD.decode(data) for (data,) in found]

    async def put_part(self, bucket: str, key: str, name: str, part: Part) -> Part | None:
        def replace(connection: sqlite3.Connection) -> Part | None:
            require_upload(connection, bucket, key, name)
            old = connection.execute(
                "SELECT part FROM parts WHERE upload = ? AND number = ?", (name, part.number)
            ).fetchone()
            connection.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?)",
                (name, part.number, ENCODER.encode(part)),
            )
            return PART.decode(old[0]) if old else None

        return await self._database.write(replace)

    async def parts(
        self, bucket: str, key: str, name: str, *, after: int = 0, limit: int = 10_000
    ) -> list[Part]:
        await self.upload(bucket, key, name)
        found = self._database.read(
            "SELECT part FROM parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
            (name, after, limit),
        )
        return [PART.decode(data) for (data,) in found]

    async def delete_upload(self, bucket: str, key: str, name: str) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            require_upload(connection, bucket, key, name)
            end_upload(connection, bucket, key, name)

        await self._database.write(delete)

    async def stale_uploads(self, *, older_than: int, limit: int, prefix: str = "") -> list[Upload]:
        named, parameters = key_range(prefix, "", "name")
        found = self._database.read(
            f"SELECT upload FROM uploads WHERE started < ? AND {named} ORDER BY started LIMIT ?",
            (self._now() - older_than, *parameters, limit),
        )
        return [UPLOAD.decode(data) for (data,) in found]
