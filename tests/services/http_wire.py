"""Just enough of HTTP/1.1 to pass messages on and to know where their bodies begin and end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Final

BLOCK: Final = 64 * 1024
BODILESS: Final = frozenset({204, 304})


@dataclass
class Head:
    """The first line and the headers of a message, as they came."""

    lines: list[bytes] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        return self.lines[0].decode("latin-1").split(None, 2)

    @property
    def raw(self) -> bytes:
        return b"".join(self.lines) + b"\r\n"

    def header(self, name: str) -> str:
        for line in self.lines[1:]:
            named, _, value = line.decode("latin-1").partition(":")
            if named.strip().lower() == name:
                return value.strip()
        return ""

    @property
    def closes(self) -> bool:
        return self.header("connection").lower() == "close"


def read_head(source: BufferedIOBase) -> Head | None:
    """The next message's head; None where the other end has closed."""
    head = Head()
    while line := source.readline():
        if line == b"\r\n" and head.lines:
            return head
        head.lines.append(line)
    return None


def request_body(source: BufferedIOBase, head: Head) -> Iterator[bytes]:
    """The body of a request, as it travels: chunks with their sizes."""
    return _body(source, head, int(head.header("content-length") or 0))


def answer_body(source: BufferedIOBase, head: Head, method: str) -> Iterator[bytes]:
    """The body of an answer to that method."""
    if method == "HEAD" or int(head.words[1]) in BODILESS:
        return iter(())
    length = head.header("content-length")
    return _body(source, head, int(length) if length else None)


def _body(source: BufferedIOBase, head: Head, length: int | None) -> Iterator[bytes]:
    if "chunked" in head.header("transfer-encoding").lower():
        return _chunks(source)
    return _until_closed(source) if length is None else _counted(source, length)


def _counted(source: BufferedIOBase, length: int) -> Iterator[bytes]:
    while length:
        block = source.read1(min(length, BLOCK))
        if not block:
            raise ConnectionError("closed in the middle of a body")
        length -= len(block)
        yield block


def _chunks(source: BufferedIOBase) -> Iterator[bytes]:
    while True:
        line = source.readline()
        yield line
        size = int(line.split(b";")[0] or b"0", 16)
        if not size:
            yield source.readline()
            return
        yield from _counted(source, size + 2)


def _until_closed(source: BufferedIOBase) -> Iterator[bytes]:
    while block := source.read1(BLOCK):
        yield block
