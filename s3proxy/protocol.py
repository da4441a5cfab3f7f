"""uvicorn's HTTP protocol, with the limits and the error answers that S3 clients expect.

It leans on the inside of uvicorn's httptools protocol, which is why uvicorn is pinned.
"""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from s3proxy.s3.errors import S3Error
from s3proxy.s3.response import error_document

BAD_REQUEST: Final = S3Error("BadRequest", "An error occurred when parsing the HTTP request.")
TOO_LARGE: Final = S3Error("RequestHeaderSectionTooLarge")


class S3Protocol(HttpToolsProtocol):
    """Refuses large, slow and unreadable header sections with S3's XML, then hangs up."""

    max_header_bytes: ClassVar[int]
    header_seconds: ClassVar[float]

    _header_bytes = 0
    _in_headers = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > self.max_header_bytes:
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_headers:
            self._await_headers()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._in_headers = False
        length = sum(len(name) + len(value) for name, value in self.headers)
        if length + len(self.url) > self.max_header_bytes:
            self._refuse(TOO_LARGE)
        else:
            super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        del msg
        self._refuse(BAD_REQUEST)

    def _await_headers(self) -> None:
        self._in_headers = True
        self._header_bytes = 0
        self._deadline = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, error: S3Error) -> None:
        if self.transport.is_closing():
            return
        body = error_document(error, "/", "0")
        head = (
            f"HTTP/1.1 {error.status} Bad Request\r\ncontent-type: application/xml\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def protocol(max_header_bytes: int, header_seconds: float) -> type[S3Protocol]:
    """A protocol class for uvicorn with these limits."""

    class Limited(S3Protocol):
        pass

    Limited.max_header_bytes = max_header_bytes
    Limited.header_seconds = header_seconds
    return Limited
