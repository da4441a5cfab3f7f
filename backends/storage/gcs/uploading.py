"""Bodies on their way to Google Cloud Storage: in one request, or in pieces of a session.

The service is told the CRC32C of what is sent, and makes no object of other bytes.
"""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, NamedTuple

import google_crc32c
from msgspec import json

from backends.errors import BackendError, Corrupt, NotFound, PreconditionFailed, Unavailable
from backends.model import Facts
from backends.storage.gcs.attributes import Resource, resource_of
from backends.storage.gcs.connection import Connection, bucket_path, document_of, object_path
from backends.storage.gcs.marked import Target
from backends.storage.gcs.session import Session
from backends.storage.pieces import begun, chained, sized
from backends.storage.protocol import Source

PATIENT: Final = 6  # attempts: the service lets an object change once a second
UNIT: Final = 256 * 1024  # of which every piece but the last must be a multiple


class Sent(NamedTuple):
    """What was made of a body: its object's generation, its bytes, their CRC32C in base64."""

    generation: str
    size: int
    digest: str


class Uploading:
    """Puts objects."""

    def __init__(self, connection: Connection, chunk_bytes: int) -> None:
        self._connection = connection
        self._chunk_bytes = max(chunk_bytes // UNIT, 1) * UNIT

    async def put(self, target: Target, source: Source) -> Sent:
        """Store the bytes and the facts they end with, all or nothing. As ObjectStore.put."""
        sent, early = await self._sent(target, source)
        if early:
            changes = target.marked(resource_of(source.facts))
            await patch(self._connection, target.bucket, early, changes)
        return sent

    async def put_part(self, target: Target, source: Source) -> Sent:
        """Store the bytes of a part, whose facts nobody asks for."""
        sent, _ = await self._sent(target, source)
        return sent

    async def _sent(self, target: Target, source: Source) -> tuple[Sent, Resource]:
        """What was sent, and the object if it has the facts that its body began with."""
        pieces = sized(aiter(source), self._chunk_bytes)
        early, whole = await begun(pieces, source.size, self._chunk_bytes)
        if whole:
            return await self._put_whole(target, early[0], source.facts), {}
        session = await self._begin(target, source.facts)
        try:
            sending = self._send(session, chained(early, pieces))
            resource = await target.settled(self._connection, sending)
        except BaseException:
            with suppress(BackendError):
                await session.cancel()
            raise
        await require_digest(self._connection, target, resource, session.digest)
        generation, size = str(resource["generation"]), int(resource["size"])
        return Sent(generation, size, session.digest), resource

    async def _put_whole(self, target: Target, data: bytes, facts: Facts) -> Sent:
        digest = base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
        resource = target.marked(resource_of(facts)) | {"name": target.name, "crc32c": digest}
        stored = await target.settled(self._connection, self._post(target, resource, data))
        await require_digest(self._connection, target, stored, digest)
        return Sent(str(stored["generation"]), len(data), digest)

    async def _post(self, target: Target, resource: Resource, data: bytes) -> Resource:
        """Send an object's resource and its bytes in one request (RFC 2387)."""
        boundary = secrets.token_hex(16)
        body = b"".join(
            (
                f"--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n".encode(),
                json.encode(resource),
                f"\r\n--{boundary}\r\ncontent-type: {resource['contentType']}\r\n\r\n".encode(),
                data,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        async with await self._connection.send(
            "POST",
            _uploads_of(target.bucket),
            query={"uploadType": "multipart", **target.condition},
            headers={"content-type": f"multipart/related; boundary={boundary}"},
            body=body,
        ) as answer:
            return await document_of(answer, f"{target.bucket}/{target.name}")

    async def _begin(self, target: Target, facts: Facts) -> Session:
        subject = f"{target.bucket}/{target.name}"
        async with await self._connection.send(
            "POST",
            _uploads_of(target.bucket),
            query={"uploadType": "resumable", "name": target.name, **target.condition},
            headers={"content-type": "application/json"},
            body=json.encode({**target.marked(resource_of(facts)), "name": target.name}),
        ) as answer:
            location = answer.headers.get("Location", "")
        if not location:
            raise Unavailable(f"{subject}: the storage began no upload")
        return Session(self._connection, location, subject)

    async def _send(self, session: Session, pieces: AsyncIterator[bytes]) -> Resource:
        """Send the pieces; nothing is an object before the body has come to its end."""
        resource: Resource = {}
        async for piece in pieces:
            resource = await session.send(piece, last=len(piece) < self._chunk_bytes)
            del piece  # before the next one is gathered
        return resource or await session.send(b"", last=True)


async def require_digest(
    connection: Connection, target: Target, resource: Resource, digest: str
) -> None:
    """Corrupt, and nothing is left, where other bytes arrived than were sent."""
    told = resource.get("crc32c", digest)
    if told == digest:
        return
    with suppress(BackendError):
        await connection.ask(
            "DELETE", target.path, query={"ifGenerationMatch": str(resource["generation"])}
        )
    raise Corrupt(f"{target.bucket}/{target.name}: the storage received {told}, not {digest}")


async def patch(
    connection: Connection, bucket: str, resource: Resource, changes: Resource
) -> Resource:
    """The object's resource with other attributes; its generation stays.

    Unavailable where another writer has taken its place.
    """
    try:
        return await connection.ask(
            "PATCH",
            object_path(bucket, resource["name"]),
            query={"ifGenerationMatch": str(resource["generation"])},
            content=changes,
            attempts=PATIENT,
        )
    except (NotFound, PreconditionFailed) as error:
        raise Unavailable(
            f"{bucket}/{resource['name']}: another writer replaced the object"
        ) from error


def _uploads_of(bucket: str) -> str:
    return f"/upload{bucket_path(bucket)}/o"
