"""Requests to the JSON API, over one pool of connections; its answers' errors become ours here."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from msgspec import DecodeError, json
from yarl import URL

from backends.errors import BackendError, Unavailable
from backends.storage.gcs.credentials import Tokens
from backends.storage.gcs.errors import error_of
from backends.storage.gcs.options import GCSOptions
from backends.storage.http import ATTEMPTS, BROKEN, document, pool, repeated, sendable

SERVICE: Final = "https://storage.googleapis.com"
BUCKETS: Final = "/storage/v1/b"
FAILED: Final = 400
UNAUTHORIZED: Final = 401


class Connection:
    """Sends requests with a token. Every error it raises is one of ours."""

    def __init__(self, options: GCSOptions, tokens: Tokens) -> None:
        self.base = (options.endpoint or SERVICE).rstrip("/")
        self._tokens = tokens
        self._session = pool(
            connections=options.connections,
            connect_seconds=options.connect_seconds,
            read_seconds=options.read_seconds,
        )

    async def close(self) -> None:
        await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: Mapping[str, Any] | None = None,
        repeatable: bool = True,
        attempts: int = ATTEMPTS,
    ) -> dict[str, Any]:
        """The document that answers a request with a document, or with none."""
        body = b"" if content is None else json.encode(content)
        headers = {"content-type": "application/json"} if body else {}
        async with await self.send(
            method,
            path,
            query=query,
            headers=headers,
            body=body,
            repeatable=repeatable,
            attempts=attempts,
        ) as response:
            return {} if method == "DELETE" else await document_of(response, path)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        repeatable: bool = True,
        attempts: int = ATTEMPTS,
    ) -> aiohttp.ClientResponse:
        """The answer to a request, unless it is an error; the caller closes it.

        `path` may be a whole URL.
        """
        url = path if path.startswith("http") else self.base + path
        asked = f"{url}?{urlencode(query)}" if query else url
        return await repeated(
            lambda: self._once(method, asked, headers or {}, body),
            repeatable=repeatable,
            attempts=attempts,
        )

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        token = await self._tokens.current()
        response = await self._request(method, url, headers, body, token)
        if response.status == UNAUTHORIZED and self._tokens.forget(token):
            response.close()
            token = await self._tokens.current()
            response = await self._request(method, url, headers, body, token)
        if response.status < FAILED:
            return response
        raise await _failure(response, f"{method} {url.partition('?')[0]}")

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, token: str
    ) -> aiohttp.ClientResponse:
        signed = {**headers, **({"authorization": f"Bearer {token}"} if token else {})}
        try:
            return await self._session.request(
                method,
                URL(url, encoded=True),
                headers=signed,
                data=sendable(body),
                allow_redirects=False,
            )
        except BROKEN as error:
            told = str(error) or type(error).__name__
            shown = url.partition("?")[0]
            raise Unavailable(f"{method} {shown}: the storage cannot be reached: {told}") from error


def bucket_path(bucket: str) -> str:
    """Where a bucket is in the API."""
    return f"{BUCKETS}/{quote(bucket, safe='')}"


def object_path(bucket: str, name: str) -> str:
    """Where an object is in the API."""
    return f"{bucket_path(bucket)}/o/{quote(name, safe='')}"


async def document_of(response: aiohttp.ClientResponse, subject: str) -> dict[str, Any]:
    """A document in JSON. Unavailable where there is none: the API answered with one."""
    body = await document(response, subject)
    try:
        found = json.decode(body, type=dict[str, Any])
    except DecodeError as error:
        raise Unavailable(f"{subject}: the storage's answer is no document: {error}") from error
    if not found:
        raise Unavailable(f"{subject}: the storage's answer is an empty document")
    return found
    return found


async def _failure(response: aiohttp.ClientResponse, subject: str) -> BackendError:
    try:
        body = await response.read()
    except BROKEN:
        body = b""
    finally:
        response.close()
    return error_of(response.status, body, subject)
