"""Requests to an S3 endpoint: signed with the session's credentials, over one pool of connections.

aiobotocore keeps credentials, endpoints and the rare verbs; the verbs on the way of each object
go out from here, because a call of its client costs a millisecond.
"""

import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import closing
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from aiobotocore.credentials import AioCredentials
from botocore.exceptions import BotoCoreError, ClientError

from backends.errors import AccessDenied, Refused, Unavailable
from backends.signing import EMPTY, UNSIGNED, Keys, encode_query, sign
from backends.storage.http import KEPT_SECONDS, repeated, retry_after, sockets
from backends.storage.http1 import Broken, Origin, Pool, Request, Response, Stream, Terms
from backends.storage.pieces import Whole
from backends.storage.s3.addressing import Addressing, is_amazon
from backends.storage.s3.errors import error_of, failed_call, parse_error
from backends.storage.s3.options import S3Options

FAILED: Final = 300
AMBIGUOUS: Final = frozenset({404, 409, 412})  # of what they speak only the document says
SMALL: Final = 64 * 1024
ERROR_BYTES: Final = 64 * 1024
WRITES: Final = frozenset({"PUT", "POST"})
UNFETCHED: Final = (BotoCoreError, ClientError, OSError, RuntimeError)
PORTS: Final = {"http": 80, "https": 443}
REGION: Final = "x-amz-bucket-region"


class Connection:
    """Sends requests to one endpoint. Every error it raises is one of ours."""

    def __init__(self, options: S3Options, endpoint: str, credentials: AioCredentials) -> None:
        virtual = options.virtual_host or is_amazon(endpoint)
        self._addressing = Addressing(endpoint, virtual=virtual)
        self._region = options.region
        self._credentials = credentials
        self._pool = Pool(
            Terms(
                connections=options.connections,
                connect_seconds=options.connect_seconds,
                read_seconds=options.read_seconds,
                kept_seconds=KEPT_SECONDS,
                trust=_trust(options.ca_file),
                opened=sockets(options.read_seconds, resets=True),
            )
        )

    async def close(self) -> None:
        self._pool.close()

    async def send(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | Stream = b"",
        repeatable: bool = True,
    ) -> Response:
        """The answer to a request, unless it is an error; the caller closes it.

        What is `repeatable` is tried again after a pause where the storage did not answer, or
        asked for one. A Stream is never repeated.
        """
        encoded = encode_query(query)
        again = repeatable and isinstance(body, bytes)
        return await repeated(
            lambda: self._once(method, bucket, key, encoded, headers or {}, body, again),
            repeatable=again,
        )

    async def _once(
        self,
        method: str,
        bucket: str,
        key: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes | Stream,
        repeatable: bool,
    ) -> Response:
        host, path = self._addressing.place(bucket, key)
        length = len(body) if isinstance(body, bytes) else body.length
        payload = UNSIGNED if length else EMPTY
        keys = await self.keys()
        signed = sign(method, host, path, query, headers, keys, self._region, payload=payload)
        if method in WRITES:
            signed["content-length"] = str(length)
        target = f"{path}?{query}" if query else path
        request = Request(method, target, signed, body, repeatable=repeatable)
        subject = f"{method} {bucket}/{key}"
        try:
            response = await self._pool.send(_origin(self._addressing.scheme, host), request)
        except Broken as error:
            raise Unavailable(f"{subject}: {_told(error)}") from error
        except ValueError as error:
            raise Refused(f"{subject}: this cannot be sent: {error}") from error
        if response.status < FAILED:
            return response
        raise await self._failure(response, subject)

    async def keys(self) -> Keys:
        """The credentials of now, fetched anew where they ran out. AccessDenied, Unavailable."""
        try:
            frozen = await self._credentials.get_frozen_credentials()
        except UNFETCHED as error:
            raise failed_call(error, "the credentials for the S3 storage") from error
        return Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token or "")

    async def _failure(self, response: Response, subject: str) -> Exception:
        """The error that an answer is."""
        document, whole = await _error_document(response)
        told = parse_error(document)
        if not whole and not told.code and response.status in AMBIGUOUS:
            return Unavailable(f"{subject}: the storage broke off its answer {response.status}")
        told = told._replace(region=told.region or response.headers.get(REGION, ""))
        error = error_of(response.status, told, subject, region=self._region)
        if isinstance(error, Unavailable):
            error.retry_after = retry_after(
                {"Retry-After": response.headers.get("retry-after", "")}
            )
        return error


async def document(response: Response, subject: str) -> bytes:
    """A small body, whole. Unavailable where it breaks off."""
    try:
        return await response.read()
    except Broken as error:
        raise _broken_off(subject, error) from error


async def body_of(response: Response, subject: str) -> AsyncGenerator[bytes, None]:
    """The bytes of an answer, at hand where they are few. Unavailable where those break off."""
    if response.length is not None and response.length <= SMALL:
        return Whole(await document(response, subject))
    return _stream(response, subject)


async def _stream(response: Response, subject: str) -> AsyncGenerator[bytes, None]:
    """The bytes of an answer; its connection is used again only when all were read."""
    with closing(response):
        try:
            while block := await response.block():
                yield block
        except Broken as error:
            raise _broken_off(subject, error) from error


async def _error_document(response: Response) -> tuple[bytes, bool]:
    """As much of it as comes, and whether that is all of it."""
    body = b""
    with closing(response):
        try:
            while len(body) < ERROR_BYTES and (block := await response.block()):
                body += block
        except Broken:
            return body, False
    return body, True


def _broken_off(subject: str, error: Broken) -> Unavailable:
    return Unavailable(f"{subject}: the storage broke off: {error}")


@lru_cache(maxsize=1024)
def _origin(scheme: str, host: str) -> Origin:
    """Where a host, perhaps with a port, is asked. ValueError where that is no port."""
    parts = urlsplit(f"{scheme}://{host}")
    return Origin(parts.hostname or "", parts.port or PORTS[scheme], scheme == "https")


def _trust(ca_file: str) -> ssl.SSLContext:
    """The system's certificates, or those of the file."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _told(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the storage did not answer in time"
    return f"the storage cannot be reached: {error or type(error).__name__}"


def require_credentials(credentials: AioCredentials | None) -> AioCredentials:
    """AccessDenied where the default chain found none."""
    if credentials is None:
        raise AccessDenied(
            "no credentials for the S3 storage: give access_key and secret_key, a profile,"
            " or an environment that has them"
        )
    return credentials
