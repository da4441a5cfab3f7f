"""uvicorn's HTTP protocol, with the limits and the error answers that S3 clients expect.

It leans on the inside of uvicorn's httptools protocol, which is why uvicorn is pinned.
"""

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from s3proxy.s3.endpoint import ANSWER_WHOLE, RECEIVE_PIECES
from s3proxy.s3.errors import S3Error
from s3proxy.s3.response import error_document

BAD_REQUEST: Final = S3Error("BadRequest", "An error occurred when parsing the HTTP request.")
TOO_LARGE: Final = S3Error("RequestHeaderSectionTooLarge")
CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
PAST_PARSER: Final = 64 * 1024
MOST_WAITING: Final = 512 * 1024
Headers = Sequence[tuple[bytes, bytes]]


class S3Protocol(HttpToolsProtocol):
    """Refuses large, slow and unreadable header sections with S3's XML, then hangs up."""

    max_header_bytes: ClassVar[int]
    header_seconds: ClassVar[float]

    _header_bytes = 0
    _in_headers = True
    _deadline: asyncio.TimerHandle | None = None
    _left = 0  # bytes of the body that are still to come, where its length is known
    _past_parser = False
    _arrivals: "Arrivals"

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._past_parser:
            self._take(data)
            return
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > self.max_header_bytes:
            self._refuse(TOO_LARGE)
        self._past_parser = self._left >= PAST_PARSER

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
            self._begin(self.cycle)

    def on_body(self, body: bytes) -> None:
        self._left -= len(body)
        super().on_body(body)

    def _begin(self, cycle: RequestResponseCycle) -> None:
        """Tell the application, by the scope, what this server can do besides ASGI."""
        self._arrivals = Arrivals(cycle)
        self._left = _length(self.headers)
        extensions = {
            ANSWER_WHOLE: partial(answer_whole, cycle),
            RECEIVE_PIECES: self._arrivals.receive,
        }
        cycle.scope["extensions"] = cast("Any", extensions)

    def _take(self, data: bytes) -> None:
        """More of a body whose length is known: the parser has nothing to find in it."""
        self._unset_keepalive_if_required()
        rest = data[self._left :]
        self._left -= len(data) - len(rest)
        if not self.cycle.response_complete:
            self._arrivals.add(data[: len(data) - len(rest)] if rest else data)
        if self._left:
            return
        self._past_parser = False
        self.parser = request_parser(self)
        self.on_message_complete()
        if rest:
            self.data_received(rest)

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


class Arrivals:
    """The bytes of one body as they were read, without the copies that ASGI makes."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """Keep a piece until it is asked for; too many stop the reading."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > MOST_WAITING:
            self._cycle.flow.pause_reading()
        self._cycle.message_event.set()

    async def receive(self) -> Any:
        """As ASGI's, with the `pieces` of the body that came after its `body`."""
        message = await self._cycle.receive()
        if message["type"] == "http.request":
            pieces, self._pieces, self._size = self._pieces, [], 0
            return {**message, "pieces": pieces}
        return message


def request_parser(protocol: S3Protocol) -> httptools.HttpRequestParser:
    """A parser in the state in which a connection begins, as uvicorn sets it up."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _length(headers: Headers) -> int:
    """The Content-Length, which the parser has checked; 0 where there is none."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


async def answer_whole(
    cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes
) -> None:
    """Send a whole answer at once; its headers tell the length of the body, if it has one.

    RuntimeError where a header has a control character in it.
    """
    if cycle.flow.write_paused:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    lines = [name + b": " + value for name, value in [*cycle.default_headers, *headers]]
    if any(map(CONTROL, lines)):
        raise RuntimeError("a header has a control character in it")
    if (b"connection", b"close") in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        lines.append(b"connection: close")
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    content = b"" if cycle.scope["method"] == "HEAD" else body
    head = [STATUS_LINE[status] + lines[0], *lines[1:], b"", content]
    cycle.transport.write(b"\r\n".join(head))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def protocol(max_header_bytes: int, header_seconds: float) -> type[S3Protocol]:
    """A protocol class for uvicorn with these limits."""

    class Limited(S3Protocol):
        pass

    Limited.max_header_bytes = max_header_bytes
    Limited.header_seconds = header_seconds
    return Limited
