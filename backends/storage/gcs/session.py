"""A session of Google Cloud Storage that takes a body in pieces, and goes on after a cut.

Cloud Storage: Resumable uploads. The service tells how many bytes it keeps, after each piece and
when it is asked; what it does not keep is sent again, and nothing else.
"""

import base64
from typing import Final, NamedTuple

import google_crc32c

from backends.errors import NotFound, Unavailable
from backends.storage.gcs.attributes import Resource
from backends.storage.gcs.connection import Connection, document_of
from backends.storage.http import ATTEMPTS, pause

INCOMPLETE: Final = 308
RANGE: Final = "bytes=0-"


class State(NamedTuple):
    """How many bytes the service keeps; the object, once there is one."""

    kept: int
    resource: Resource


class Session:
    """One upload. Pieces are sent one after the other, none of them is held on to."""

    def __init__(self, connection: Connection, url: str, subject: str) -> None:
        self._connection = connection
        self._url = url
        self._subject = subject
        self._checksum = google_crc32c.Checksum()
        self._kept = 0

    @property
    def digest(self) -> str:
        """The CRC32C of all pieces so far, as the service writes it."""
        return base64.b64encode(self._checksum.digest()).decode()

    async def send(self, piece: bytes, *, last: bool) -> Resource:
        """Return when the service keeps the piece; the object's resource after the last one.

        Unavailable, Corrupt, and PreconditionFailed after the last.
        """
        self._checksum.update(piece)
        try:
            return await self._sent_whole(piece, last=last)
        except NotFound as error:
            raise Unavailable(f"{self._subject}: the storage ended the upload: {error}") from error

    async def cancel(self) -> None:
        """Let the service forget what it keeps."""
        async with await self._connection.send("DELETE", self._url, repeatable=False):
            return

    async def _sent_whole(self, piece: bytes, *, last: bool) -> Resource:
        end = self._kept + len(piece)
        total = str(end) if last else "*"
        stalled = 0
        while stalled < ATTEMPTS:
            before = self._kept
            state = await self._sent(piece[len(piece) - (end - before) :], total, stalled)
            if not before <= state.kept <= end:
                raise Unavailable(f"{self._subject}: the storage lost what it had kept")
            self._kept = state.kept
            if state.resource or (state.kept == end and not last):
                return state.resource
            stalled = 0 if state.kept > before else stalled + 1
        raise Unavailable(f"{self._subject}: the storage keeps no more of the upload")

    async def _sent(self, rest: bytes, total: str, stalled: int) -> State:
        """What the service has after the bytes were sent, whether or not it said so."""
        try:
            return await self._put(rest, total, repeatable=False)
        except Unavailable:
            if stalled + 1 >= ATTEMPTS:
                raise
            await pause(stalled + 1)
            return await self._put(b"", total, repeatable=True)

    async def _put(self, rest: bytes, total: str, *, repeatable: bool) -> State:
        """Send bytes, or ask with none."""
        end = self._kept + len(rest)
        headers = {"content-range": f"bytes {self._kept}-{end - 1}/{total}"}
        if not rest:
            headers["content-range"] = f"bytes */{total}"
        if total != "*":
            headers["x-goog-hash"] = f"crc32c={self.digest}"
        async with await self._connection.send(
            "PUT", self._url, headers=headers, body=rest, repeatable=repeatable
        ) as answer:
            if answer.status == INCOMPLETE:
                return State(_kept(answer.headers.get("Range", "")), {})
            return State(end, await document_of(answer, self._subject))


def _kept(told: str) -> int:
    """Bytes that a Range header names; 0 without one."""
    return int(told.removeprefix(RANGE)) + 1 if told.startswith(RANGE) else 0
