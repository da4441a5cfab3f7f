"""One answer, read from bytes as they come; no I/O (RFC 9112, 4 to 7)."""

import sys
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from backends.storage.http1.errors import Broken

MOST_HEAD: Final = 64 * 1024
FINAL: Final = 200
NO_BODY: Final = frozenset({204, 304})
UNKNOWN: Final = -1


class Answer:
    """Fed with what the server sends; `status` and `headers` (lower-case names) once `headed`.

    `head_only` is the answer to a HEAD. Once it has `ended`, `reusable` says whether another one
    can follow on the same connection. `buffered` bytes of the body wait to be taken.
    """

    def __init__(self, *, head_only: bool = False) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = self.headed = self.ended = self.reusable = False
        self.buffered = 0
        self._blocks: list[bytes] = []
        self._head_only = head_only
        self._head_bytes = 0
        self._left = UNKNOWN
        self._until_closed = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Go on. Broken where this is no answer."""
        self.begun = True
        if self.ended:
            self.reusable = False
        elif self._left != UNKNOWN:
            self.on_body(data)
        else:
            self._parse(data)

    def closed(self) -> None:
        """The server has closed the connection. Broken unless that is how the answer ends."""
        if self.ended:
            self.reusable = False
        elif self._until_closed:
            self._end()
        else:
            raise Broken("the server closed the connection")

    def take(self) -> bytes:
        """What has come of the body since it was taken last."""
        blocks, self._blocks, self.buffered = self._blocks, [], 0
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _parse(self, data: bytes) -> None:
        if not self.headed:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD and b"\r\n\r\n" not in data:
                raise Broken("the head of the answer has no end")
        try:
            if self._parser:
                self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.reusable = False
            if not self.ended:
                raise Broken(f"no answer of HTTP/1.1: {error}") from error
        if self.ended or self._left != UNKNOWN:
            self._parser = None

    def on_message_begin(self) -> None:
        if self.ended:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a name that comes again adds its value. What follows a body is not wanted."""
        if self.headed:
            return
        known = name.decode("latin-1").lower()
        text = value.decode("utf-8", "surrogateescape").strip(" \t")
        self.headers[known] = f"{self.headers[known]}, {text}" if known in self.headers else text

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self.ended or parser is None:
            return
        status = parser.get_status_code()
        if status < FINAL:
            self.headers = {}
            return
        self.status, self.headed = status, True
        self.reusable = self._is_kept(parser.get_http_version())
        if self._head_only or status in NO_BODY:
            self._end()
        elif "transfer-encoding" not in self.headers:
            self._measure()

    def on_body(self, data: bytes) -> None:
        if self.ended:
            self.reusable = False
            return
        if self._left != UNKNOWN:
            if len(data) > self._left:
                data, self.reusable = data[: self._left], False
            self._left -= len(data)
        self._blocks.append(data)
        self.buffered += len(data)
        if not self._left:
            self._end()

    def on_message_complete(self) -> None:
        if self.headed and not self.ended:
            self._end()

    def _is_kept(self, version: str) -> bool:
        """Whether the connection stays open. Broken for a version that is not ours."""
        said = self.headers.get("connection", "").lower()
        if version == "1.1":
            return "close" not in said
        if version != "1.0":
            raise Broken(f"no answer of HTTP/1.1, but of {version}")
        return "keep-alive" in said

    def _measure(self) -> None:
        """Whether so many bytes follow, or all until the connection is closed."""
        length = self.headers.get("content-length")
        if length is None:
            self._until_closed, self.reusable, self._left = True, False, sys.maxsize
            return
        self._left = int(length)
        if not self._left:
            self._end()

    def _end(self) -> None:
        self.ended = True
