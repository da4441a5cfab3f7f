"""Requests to other sites: signed, sent, and what their answers say went wrong."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sized
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

import aiohttp
import xmltodict
from msgspec import MsgspecError, json
from yarl import URL

from backends import errors
from backends.signing import EMPTY, UNSIGNED, Keys, encode_query, sign
from backends.storage import http
from replication.messages import ID_HEADER, PROTOCOL_HEADER, REGION, secret_of
from replication.outgoing import LENGTH, Outgoing
from replication.packing import text_of
from replication.topology import PROTOCOL

FAILED: Final = 300
SHOWN: Final = 200
WRITES: Final = frozenset({"PUT", "POST"})
T = TypeVar("T")


class SiteFailed(errors.BackendError):
    """A site answered that it could not do this, without saying what would help."""


class SiteAway(errors.Unavailable):
    """A site did not answer, or not to the end: what was asked may have happened."""


CODES: Final[dict[str, type[errors.BackendError]]] = {
    "NoSuchBucket": errors.BucketNotFound,
    "NoSuchUpload": errors.UploadNotFound,
    "NoSuchKey": errors.NotFound,
    "PreconditionFailed": errors.PreconditionFailed,
    "SlowDown": errors.Busy,
    "ServiceUnavailable": SiteAway,
    "StorageFull": errors.NoSpace,
    "BadDigest": errors.Corrupt,
}
STATUSES: Final[dict[int, type[errors.BackendError]]] = {
    403: errors.AccessDenied,
    404: errors.NotFound,
    503: SiteAway,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are to other sites, and the secret that all of them share."""

    name: str
    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How sites are reached. `context` is whom to trust over TLS, the system's where it is None.

    `compresses`: whether bodies go out compressed, where they shrink.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    connections: int = 256
    context: ssl.SSLContext | None = None
    compresses: bool = False


def session_of(options: LinkOptions) -> aiohttp.ClientSession:
    """A pool of connections to sites."""
    return http.pool(
        connections=options.connections,
        connect_seconds=options.connect_seconds,
        read_seconds=options.read_seconds,
        context=options.context,
        omitted=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        resets=True,
    )


@dataclass(slots=True)
class Traffic:
    """Requests that were answered, and their bytes with all headers; but for streamed bodies."""

    exchanges: int = 0
    sent: int = 0
    received: int = 0

    def add(self, target: URL, headers: Mapping[str, str], body: bytes) -> None:
        """A request that was answered."""
        self.exchanges += 1
        self.sent += len(str(target)) + _length(headers.items()) + len(body)


class Wire:
    """Requests to one site. Raises only `backends.errors`, SiteFailed and SiteAway."""

    def __init__(
        self, session: aiohttp.ClientSession, caller: Caller, name: str, endpoint: str
    ) -> None:
        self._session = session
        self._caller = caller
        self._keys = Keys(caller.name, secret_of(caller.secret, caller.name))
        self.traffic = Traffic()
        self.name = name
        self.endpoint = endpoint.rstrip("/")
        self._host = urlsplit(self.endpoint).netloc

    async def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] = b"",
    ) -> T:
        """What the site answers, as such a value."""
        async with self.request(method, path, query=query, headers=headers, body=body) as response:
            body = await http.document(response, self.subject(path))
            self.traffic.received += len(body)
        try:
            return json.decode(text_of(body, response.headers), type=kind)
        except (MsgspecError, errors.Refused) as error:
            raise SiteFailed(f"{self.subject(path)}: not an answer of a site: {error}") from error

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] = b"",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is good, its body not read yet."""
        sent = body if isinstance(body, bytes) else Outgoing(body)
        target, signed = self._signed(method, path, query or {}, headers or {}, sent)
        try:
            response = await self._session.request(
                method,
                target,
                headers=signed,
                data=sent or None,
                allow_redirects=False,
            )
        except http.BROKEN as error:
            if isinstance(sent, Outgoing) and sent.error:
                raise sent.error from None
            raise SiteAway(f"{self.subject(path)}: {_told(error)}") from error
        except ValueError as error:
            raise errors.Refused(f"{self.subject(path)}: this cannot be sent: {error}") from error
        self.traffic.add(target, signed, sent if isinstance(sent, bytes) else b"")
        self.traffic.received += _length(response.raw_headers)
        try:
            if response.status >= FAILED:
                raise await self._failure(response, path)
            yield response
        finally:
            response.release() if response.content.at_eof() else http.abandon(response)

    def _signed(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: "bytes | Outgoing",
    ) -> tuple[URL, dict[str, str]]:
        """Where the request goes, and its headers."""
        caller = self._caller
        named = {**headers, ID_HEADER: caller.id, PROTOCOL_HEADER: str(PROTOCOL)}
        if isinstance(body, bytes):
            payload = hashlib.sha256(body).hexdigest() if body else EMPTY
            named |= {LENGTH: str(len(body))} if method in WRITES else {}
        else:
            payload = UNSIGNED
        text = encode_query(query.items())
        signed = sign(method, self._host, path, text, named, self._keys, REGION, payload=payload)
        address = f"{self.endpoint}{path}{'?' + text if text else ''}"
        return URL(address, encoded=True), signed

    async def _failure(self, response: aiohttp.ClientResponse, path: str) -> errors.BackendError:
        code, message = _error_in(await http.document(response, self.subject(path)))
        kind = CODES.get(code) or STATUSES.get(response.status, SiteFailed)
        told = kind(f"{self.subject(path)}: {code or response.status}: {message}")
        if isinstance(told, errors.Unavailable):
            told.retry_after = http.retry_after(response.headers)
        return told

    def subject(self, *path: str) -> str:
        """What an error is about: the site, and the place in it."""
        place = "/".join(path).strip("/")
        site = f"the site {self.name}".rstrip()
        return f"{site} at {self.endpoint}" + (f", {place}" if place else "")


def _error_in(document: bytes) -> tuple[str, str]:
    """Code and message of S3's error document; "" and what it says where it is none."""
    try:
        fields = xmltodict.parse(document)["Error"]
        return str(fields.get("Code") or ""), str(fields.get("Message") or "")
    except (ExpatError, KeyError, AttributeError):
        return "", document[:SHOWN].decode(errors="replace")


def _length(headers: Iterable[tuple[Sized, Sized]]) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers)


def _told(error: BaseException) -> str:
    silent = isinstance(error, TimeoutError)
    return "no answer in time" if silent else str(error) or type(error).__name__
