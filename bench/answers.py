"""Where an HTTP/1.1 answer ends (RFC 9112, section 6.3), without keeping its body."""

from dataclasses import dataclass
from typing import Final

HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"\r\ncontent-length:"
CHUNKED: Final = b"\r\ntransfer-encoding: chunked"
CLOSING: Final = b"\r\nconnection: close"
BODILESS: Final = (204, 304)
KEPT_OF_ERRORS: Final = 400


@dataclass(frozen=True, slots=True)
class Head:
    """Status and framing of an answer; `length` is None where the body comes in chunks."""

    status: int
    length: int | None
    closes: bool


def parsed_head(head: bytes, has_body: bool) -> Head:
    """The framing of a head that ends with an empty line. ValueError where it has none."""
    status = int(head[9:12])
    lowered = head.lower()
    closes = CLOSING in lowered
    if not has_body or status in BODILESS:
        return Head(status, 0, closes)
    if CHUNKED in lowered:
        return Head(status, None, closes)
    start = lowered.index(LENGTH) + len(LENGTH)
    return Head(status, int(lowered[start : lowered.index(b"\r", start)]), closes)


class ChunkedBody:
    """Counts a chunked body away; answers carry no trailers here."""

    def __init__(self) -> None:
        self._buffer = b""

    def ends_with(self, data: bytes) -> bool:
        """Whether the body is whole once these bytes have come."""
        self._buffer += data
        while (line_end := self._buffer.find(b"\r\n")) >= 0:
            size = int(self._buffer[:line_end].split(b";")[0], 16)
            chunk_end = line_end + 2 + size + 2
            if len(self._buffer) < chunk_end:
                return False
            self._buffer = self._buffer[chunk_end:]
            if size == 0:
                return True
        return False


class Answer:
    """Fed what arrives for one request, says when the answer is whole."""

    __slots__ = ("_chunks", "_has_body", "_start", "closes", "error", "remaining", "status")

    def __init__(self, has_body: bool) -> None:
        self._has_body = has_body
        self._start = b""
        self._chunks: ChunkedBody | None = None
        self.status = 0
        self.remaining = 0
        self.closes = False
        self.error = b""

    def ends_with(self, data: bytes) -> bool:
        """Whether the answer is whole once these bytes have come."""
        if self.status == 0:
            self._start += data
            end = self._start.find(HEAD_END)
            return end >= 0 and self._opens(end + len(HEAD_END))
        return self._body_ends_with(data)

    def passed_over(self, count: int) -> bool:
        """Whether the answer is whole once so many bytes of its body were dropped unseen."""
        self.remaining -= count
        return self.remaining <= 0

    def _opens(self, end: int) -> bool:
        head = parsed_head(self._start[:end], self._has_body)
        body, self._start = self._start[end:], b""
        self.status, self.closes = head.status, head.closes
        if head.length is None:
            self._chunks = ChunkedBody()
        else:
            self.remaining = head.length
        return self._body_ends_with(body)

    def _body_ends_with(self, data: bytes) -> bool:
        if self.status >= 300 and len(self.error) < KEPT_OF_ERRORS:
            self.error += data
        if self._chunks is not None:
            return self._chunks.ends_with(data)
        return self.passed_over(len(data))
