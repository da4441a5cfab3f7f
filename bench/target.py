"""The endpoint under test: its address, its credentials, and requests ready to be sent to it."""

import hashlib
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from bench.signing import EMPTY, UNSIGNED, Credentials, Query, encoded, query_string, signed_headers

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
BLOCK: Final = os.urandom(MIB)
WHOLE_BELOW: Final = 64 * KIB  # smaller bodies leave in one piece with their head
PORTS: Final = {"http": 80, "https": 443}
CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Body:
    """`length` bytes, one random block again and again; `digest` is the x-amz-content-sha256."""

    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: `head` as it is, then `length` bytes of BLOCK again and again."""

    head: bytes
    length: int = 0
    answer_has_body: bool = True


NO_BODY: Final = Body(0, EMPTY)


@lru_cache
def signed_body(length: int) -> Body:
    """A body whose SHA-256 is part of the signature, so that the server must check it."""
    digest = hashlib.sha256()
    for start in range(0, length, len(BLOCK)):
        digest.update(BLOCK[: length - start])
    return Body(length, digest.hexdigest())


def unsigned_body(length: int) -> Body:
    """A body that the signature leaves out, as SDKs send over TLS."""
    return Body(length, UNSIGNED)


@dataclass(frozen=True, slots=True)
class Target:
    """An S3 endpoint, addressed path style."""

    name: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    credentials: Credentials

    @classmethod
    def at(cls, url: str, credentials: Credentials, name: str = "") -> "Target":
        """The target at an http or https URL. ValueError where it is none."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or parts.hostname is None or parts.path.strip("/"):
            raise ValueError(f"not the URL of an endpoint: {url}")
        port = parts.port or PORTS[parts.scheme]
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        return cls(name or parts.netloc, parts.hostname, port, tls, credentials)

    def connect(self) -> socket.socket:
        """A connected socket that does not block."""
        connected = socket.create_connection((self.host, self.port), CONNECT_SECONDS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is not None:
            connected = self.tls.wrap_socket(connected, server_hostname=self.host)
        connected.setblocking(False)
        return connected

    def request(
        self, method: str, bucket: str, key: str = "", query: Query = (), body: Body = NO_BODY
    ) -> Request:
        """A request signed now; servers take it for the next fifteen minutes."""
        path = encoded(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/")
        string = query_string(query)
        fields = signed_headers(
            self.credentials,
            method,
            f"{self.host}:{self.port}",
            path,
            string,
            body.digest,
            datetime.now(UTC),
        )
        if method == "PUT":
            fields["Content-Length"] = str(body.length)
        line = f"{method} {path}{'?' if string else ''}{string} HTTP/1.1\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return _framed(f"{line}{lines}\r\n".encode(), body, method)


def _framed(head: bytes, body: Body, method: str) -> Request:
    if body.length < WHOLE_BELOW:
        return Request(head + BLOCK[: body.length], 0, method != "HEAD")
    return Request(head, body.length, method != "HEAD")
