"""Multipart uploads in PostgreSQL."""

from typing import Final

from msgspec import json

from backends.errors import UploadNotFound
from backends.model import Part, Upload
from backends.state.postgres.locks import in_order
from backends.state.postgres.records import ENCODER, UPLOAD, names_above
from backends.state.postgres.tables import Tables, no_bucket

PART: Final = json.Decoder(Part)


class UploadTable(Tables):
    """The verbs of the protocol that are about uploads."""

    async def create_upload(self, upload: Upload) -> None:
        bucket = upload.bucket.encode()
        [(there,)] = await self._connections.write(
            "SELECT create_upload($1, $2, $3, $4, $5, $6)",
            self._locks.bucket(bucket),
            bucket,
            upload.key.encode(),
            upload.name.encode(),
            upload.started,
            ENCODER.encode(upload),
        )
        if not there:
            raise no_bucket(upload.bucket)

    async def upload(self, bucket: str, key: str, name: str) -> Upload:
        found = await self._connections.read(
            "SELECT upload FROM uploads WHERE bucket = $1 AND key = $2 AND name = $3",
            *_encoded(bucket, key, name),
        )
        if not found:
            raise no_upload(bucket, key, name)
        return UPLOAD.decode(found[0][0])

    async def uploads(
        self, bucket: str, *, prefix: str, after: tuple[str, str], limit: int
    ) -> list[Upload]:
        key, name = max(after, (prefix, ""))
        found = await self._connections.read(
            "SELECT upload FROM uploads WHERE bucket = $1 AND (key, name) > ($2, $3)"
            " AND key >= $4 AND key < $5 ORDER BY key, name LIMIT $6",
            *_encoded(bucket, key, name),
            *names_above(prefix, "")[1:],
            limit,
        )
        if not found:
            await self._require_bucket(bucket)
        return [UPLOAD.decode(data) for (data,) in found]

    async def put_part(self, bucket: str, key: str, name: str, part: Part) -> Part | None:
        names = _encoded(bucket, key, name)
        locks = in_order([self._locks.bucket(names[0]), self._locks.key(*names[:2])])
        [(outcome, replaced)] = await self._connections.write(
            "SELECT * FROM put_part($1, $2, $3, $4, $5, $6)",
            locks,
            *names,
            part.number,
            ENCODER.encode(part),
        )
        if outcome == "no upload":
            raise no_upload(bucket, key, name)
        return PART.decode(replaced) if replaced is not None else None

    async def parts(
        self, bucket: str, key: str, name: str, *, after: int = 0, limit: int = 10_000
    ) -> list[Part]:
        found = await self._connections.read(
            "SELECT part FROM parts WHERE upload = $3 AND number > $4 AND EXISTS"
            " (SELECT FROM uploads WHERE bucket = $1 AND key = $2 AND name = $3)"
            " ORDER BY number LIMIT $5",
            *_encoded(bucket, key, name),
            after,
            limit,
        )
        if not found:
            await self.upload(bucket, key, name)
        return [PART.decode(data) for (data,) in found]

    async def delete_upload(self, bucket: str, key: str, name: str) -> None:
        names = _encoded(bucket, key, name)
        [(there,)] = await self._connections.write(
            "SELECT delete_upload($1, $2, $3, $4)", self._locks.key(*names[:2]), *names
        )
        if not there:
            raise no_upload(bucket, key, name)

    async def stale_uploads(self, *, older_than: int, limit: int, prefix: str = "") -> list[Upload]:
        _, first, end = names_above(prefix, "")
        found = await self._connections.read(
            "SELECT upload FROM uploads WHERE started < $1 AND name >= $2 AND name < $3"
            " ORDER BY started LIMIT $4",
            self._now() - older_than,
            first,
            end,
            limit,
        )
        return [UPLOAD.decode(data) for (data,) in found]


def no_upload(bucket: str, key: str, name: str) -> UploadNotFound:
    return UploadNotFound(f"{bucket}/{key}: there is no upload {name}")


def _encoded(bucket: str, key: str, name: str) -> tuple[bytes, bytes, bytes]:
    return bucket.encode(), key.encode(), name.encode()
