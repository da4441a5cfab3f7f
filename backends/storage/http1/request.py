"""A request, and its head as it is sent (RFC 9112, 3)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

Block = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Stream:
    """A body of known length that is sent once."""

    blocks: AsyncIterator[Block]
    length: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `target` is encoded already, `headers` are all that is sent.

    What is `repeatable` is sent once more, on a new connection, where one that was kept turns out
    to be closed.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | Stream = b""
    repeatable: bool = False


def head_of(request: Request) -> bytes:
    """The request line and the headers. ValueError where a value would end its line."""
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    text = "\r\n".join([f"{request.method} {request.target} HTTP/1.1", *lines, "", ""])
    ends = len(lines) + 2
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise ValueError("a header has a line break in it")
    return text.encode()
