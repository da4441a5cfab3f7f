"""aws-chunked bodies: chunks, each signed or not, then perhaps trailers. Any torn packet will do.

Source: the S3 API reference, "Signature calculations for the Authorization header: transferring
payload in multiple chunks", and the same with trailing headers.
"""

import hmac
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from s3proxy.s3.claims import Seal
from s3proxy.s3.errors import S3Error

MAX_CHUNK: Final = 5 * 1024**3
MAX_LINE: Final = 4 * 1024
MAX_TRAILERS: Final = 8 * 1024
TRAILER_SIGNATURE: Final = "x-amz-trailer-signature"

_PLAIN: Final = re.compile(rb"([0-9a-fA-F]{1,16})\r\n")
_SIGNED: Final = re.compile(rb"([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})\r\n")
_TRAILER: Final = re.compile(r"([!#-'*+.^_`|~0-9A-Za-z-]+)[ \t]*:([\t -~]*)")
_CRLF: Final = b"\r\n"

# Takes what it can of the data from an offset on, and says where it stopped.
Step = Callable[[bytes, int, list[bytes]], int]


class ChunkDecoder:
    """Bytes in, payload out. Payload is handed out as it comes, before its chunk is verified.

    So nothing of a body may be believed before `finished`: the caller holds its end back, and
    drops the whole when `feed` or `close` raises. `trailers` are by lower-case name. No lock and
    no thread of its own: one caller at a time, on any thread.
    """

    def __init__(
        self, seal: Seal | None, *, signed: bool, trailer: bool, decoded_length: int | None
    ) -> None:
        if signed and seal is None:
            raise S3Error("InvalidRequest", "Only SigV4 can sign chunks.")
        self._seal = seal if signed else None
        self._has_trailer = trailer
        self._length = decoded_length
        self._received = 0
        self._left = 0
        self._previous = seal.signature if seal else ""
        self._signature = ""
        self._digest = sha256()
        self._line = bytearray()
        self._trailer_bytes = 0
        self._step: Step = self._read_header
        self.finished = False
        self.trailers: dict[str, str] = {}

    def feed(self, data: bytes) -> list[bytes]:
        """The payload in `data`, in order.

        InvalidRequest for what is no such body, MalformedTrailerError, IncompleteBody where the
        announced length is wrong, SignatureDoesNotMatch at the end of a forged chunk.
        """
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            at = self._step(data, at, pieces)
        return pieces

    def close(self) -> None:
        """Return if the body was whole. IncompleteBody."""
        if not self.finished:
            raise S3Error("IncompleteBody")

    def _read_header(self, data: bytes, at: int, _: list[bytes]) -> int:
        at, line = self._take_line(data, at, MAX_LINE)
        if line:
            self._begin_chunk(line)
        return at

    def _begin_chunk(self, line: bytes) -> None:
        found = (_SIGNED if self._seal else _PLAIN).fullmatch(line)
        size = int(found[1], 16) if found else MAX_CHUNK + 1
        if found is None or size > MAX_CHUNK:
            raise S3Error("InvalidRequest", "A chunk of the body has no valid header.")
        if self._length is not None and self._received + size > self._length:
            raise S3Error("IncompleteBody", "The body is longer than its decoded length.")
        if self._seal:
            self._signature = found[2].decode()
        self._left = size
        self._step = self._read_data
        if not size:
            self._end_payload()

    def _read_data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        piece = data[at : at + self._left]
        pieces.append(piece)
        if self._seal:
            self._digest.update(piece)
        self._left -= len(piece)
        self._received += len(piece)
        if not self._left:
            self._verify_chunk()
            self._step = self._read_chunk_end
        return at + len(piece)

    def _read_chunk_end(self, data: bytes, at: int, _: list[bytes]) -> int:
        at, line = self._take_line(data, at, len(_CRLF))
        if line:
            if line != _CRLF:
                raise S3Error("InvalidRequest", "A chunk is longer than its header says.")
            self._step = self._read_header
        return at

    def _verify_chunk(self) -> None:
        """The signature chain goes on from a chunk that is what its header says."""
        if self._seal is None:
            return
        expected = self._seal.chunk_signature(self._previous, self._digest.hexdigest())
        if not hmac.compare_digest(expected, self._signature):
            raise S3Error("SignatureDoesNotMatch", "The signature of a chunk is wrong.")
        self._previous = expected
        self._digest = sha256()

    def _end_payload(self) -> None:
        """The empty chunk was there: what follows are trailers and an empty line."""
        self._verify_chunk()
        if self._length is not None and self._received != self._length:
            raise S3Error("IncompleteBody")
        self._step = self._read_trailer

    def _read_trailer(self, data: bytes, at: int, _: list[bytes]) -> int:
        at, line = self._take_line(data, at, MAX_TRAILERS - self._trailer_bytes)
        if line:
            self._trailer_bytes += len(line)
            self._add_trailer(line)
        return at

    def _add_trailer(self, line: bytes) -> None:
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1")
        if not text:
            self._end_trailers()
            return
        found = _TRAILER.fullmatch(text)
        if found is None or not self._has_trailer:
            raise S3Error("MalformedTrailerError")
        name = found[1].lower()
        if name in self.trailers or TRAILER_SIGNATURE in self.trailers:
            raise S3Error("MalformedTrailerError", "A trailer comes twice, or after the signature.")
        self.trailers[name] = found[2].strip()

    def _end_trailers(self) -> None:
        """An empty line ends the body; before a signature that is still due it means nothing.

        (Some clients end a trailer with a line feed of its own before the CRLF.)
        """
        if self._seal and self._has_trailer:
            if TRAILER_SIGNATURE not in self.trailers:
                return
            self._verify_trailers(self._seal, self.trailers.pop(TRAILER_SIGNATURE))
        self.finished = True
        self._step = self._read_rest

    def _verify_trailers(self, seal: Seal, signature: str) -> None:
        canonical = "".join(f"{name}:{value}\n" for name, value in self.trailers.items())
        digest = sha256(canonical.encode("latin-1")).hexdigest()
        expected = seal.trailer_signature(self._previous, digest)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise S3Error("SignatureDoesNotMatch", "The signature of the trailers is wrong.")

    def _read_rest(self, data: bytes, at: int, _: list[bytes]) -> int:
        """Line ends behind the body are harmless; anything else is not of this request."""
        if data[at:].strip(_CRLF):
            raise S3Error("InvalidRequest", "There are bytes behind the end of the body.")
        return len(data)

    def _take_line(self, data: bytes, at: int, limit: int) -> tuple[int, bytes]:
        """Where the line ends, and the line with its end; b"" while it is torn."""
        end = data.find(b"\n", at, at + limit) + 1
        self._line += data[at : end or at + limit]
        if len(self._line) > limit or (not end and len(self._line) == limit):
            raise S3Error("InvalidRequest", "A line of the chunked body is too long.")
        if not end:
            return len(data), b""
        line = bytes(self._line)
        self._line.clear()
        return end, line
