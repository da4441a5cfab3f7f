"""Bodies on their way in: received, de-chunked, digested, and held back until they are right.

The last block of a body leaves here only when every digest of the whole has been checked, so a
wrong body never becomes an object anywhere. While the consumer writes one block, the next is
received and digested: large blocks in a thread, small ones on the spot.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Final, Protocol

from backends.model import Checksum
from s3proxy.s3.checksums import Digests, Expected, requested
from s3proxy.s3.chunked import ChunkDecoder
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request

BLOCK: Final = 512 * 1024
IN_A_THREAD: Final = 64 * 1024
MAX_BODY: Final = 5 * 1024**3
MAX_DOCUMENT: Final = 8 * 1024**2
STREAMING: Final = "STREAMING-"
SIGNED: Final = "AWS4-HMAC"
TRAILER: Final = "-TRAILER"
LENGTH: Final = "content-length"
DECODED_LENGTH: Final = "x-amz-decoded-content-length"


class Patience(Protocol):
    """How long a body may stand still, in seconds."""

    @property
    def body_timeout(self) -> float: ...


class Body:
    """Blocks of a body, digested. `etag`, `checksum` and `received` are right at the end."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        digests: Digests,
        *,
        size: int | None,
        trailers: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self._pieces = pieces
        self._digests = digests
        self._trailers = trailers
        self.size = size
        self.received = 0

    @property
    def etag(self) -> str:
        return self._digests.etag

    @property
    def checksum(self) -> Checksum | None:
        return self._digests.checksum

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = b""
        async for block in self._blocks():
            digesting = self._digest(block)
            if held:
                yield held
            if digesting is not None:
                await digesting
            held = block
        if self.size is not None and self.received != self.size:
            raise S3Error("IncompleteBody")
        self._digests.verify(self._trailers())
        if held:
            yield held

    async def _blocks(self) -> AsyncIterator[bytes]:
        """The pieces, joined to blocks that are worth a thread."""
        waiting: list[bytes] = []
        length = 0
        async for piece in self._pieces:
            waiting.append(piece)
            length += len(piece)
            if length >= BLOCK:
                yield self._join(waiting, length)
                waiting, length = [], 0
        if length:
            yield self._join(waiting, length)

    def _join(self, pieces: list[bytes], length: int) -> bytes:
        self.received += length
        if self.received > MAX_BODY:
            raise S3Error("EntityTooLarge", details={"MaxSizeAllowed": str(MAX_BODY)})
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _digest(self, block: bytes) -> asyncio.Future[None] | None:
        if len(block) < IN_A_THREAD or not self._digests.needed:
            self._digests.update(block)
            return None
        return asyncio.get_running_loop().run_in_executor(None, self._digests.update, block)


def incoming(
    patience: Patience,
    request: Request,
    *,
    algorithm: str = "",
    expect: Callable[[Mapping[str, str]], Expected] = requested,
    checked_up_to: int = 0,
) -> Body:
    """The body of a request, as its headers announce it.

    `algorithm` is the checksum a multipart upload was begun with; a part without one gets it.
    More than a block, up to `checked_up_to` bytes, needs no ETag from here.
    `expect` says which digests the headers announce for the body.
    """
    streaming = request.payload.startswith(STREAMING)
    size = _announced_size(request, streaming=streaming)
    sha256 = "" if streaming or request.payload in {"", "UNSIGNED-PAYLOAD"} else request.payload
    etag = size is None or not BLOCK < size <= checked_up_to
    expected = expect(request.headers)
    digests = Digests(expected, payload_sha256=sha256, algorithm=algorithm, etag=etag)
    raw = received(request, patience.body_timeout)
    if not streaming:
        return Body(raw, digests, size=size)
    decoder = ChunkDecoder(
        request.seal,
        signed=SIGNED in request.payload,
        trailer=request.payload.endswith(TRAILER),
        decoded_length=size,
    )
    return Body(decoded(raw, decoder), digests, size=size, trailers=lambda: decoder.trailers)


def rehashed(pieces: AsyncIterator[bytes], size: int, algorithm: str) -> Body:
    """Bytes that come from our own storage, digested anew on their way to another object."""
    return Body(pieces, Digests(requested({}), algorithm=algorithm), size=size)


async def read_document(
    patience: Patience,
    request: Request,
    *,
    expect: Callable[[Mapping[str, str]], Expected] = requested,
) -> bytes:
    """A small body, whole: XML. MaxMessageLengthExceeded above 8 MiB."""
    body = bytearray()
    async for block in incoming(patience, request, expect=expect):
        body += block
        if len(body) > MAX_DOCUMENT:
            raise S3Error("MaxMessageLengthExceeded")
    return bytes(body)


async def received(request: Request, patience: float) -> AsyncGenerator[bytes, None]:
    """What the connection brings. IncompleteBody if it ends early, RequestTimeout if it stalls."""
    request.body_asked = True
    more = True
    while more:
        try:
            async with asyncio.timeout(patience):
                message = await request.receive()
        except TimeoutError as error:
            raise S3Error("RequestTimeout") from error
        if message["type"] == "http.disconnect":
            raise S3Error("IncompleteBody", "The client closed the connection.")
        more = message.get("more_body", False)
        for piece in (message["body"], *message.get("pieces", ())):
            if piece:
                request.received += len(piece)
                yield piece


async def decoded(raw: AsyncIterator[bytes], decoder: ChunkDecoder) -> AsyncGenerator[bytes, None]:
    """The payload of an aws-chunked body."""
    async for data in raw:
        for piece in decoder.feed(data):
            yield piece
    decoder.close()


def _announced_size(request: Request, *, streaming: bool) -> int | None:
    """How long the payload will be; None where it travels in chunks of unknown number."""
    headers = request.headers
    name = DECODED_LENGTH if streaming else LENGTH
    if streaming and name not in headers:
        raise S3Error("MissingContentLength", f"An aws-chunked body needs {name}.")
    if name not in headers:
        return None if "transfer-encoding" in headers else _no_body(request)
    text = headers[name]
    if not (text.isascii() and text.isdigit()):
        raise S3Error("InvalidArgument", f"{name} must be a number of bytes.")
    if len(text) > len(str(MAX_BODY)) or int(text) > MAX_BODY:
        raise S3Error(
            "EntityTooLarge",
            details={"ProposedSize": text[:30], "MaxSizeAllowed": str(MAX_BODY)},
        )
    return int(text)


def _no_body(request: Request) -> int:
    if request.operation.name in {"PutObject", "UploadPart"}:
        raise S3Error("MissingContentLength")
    return 0
