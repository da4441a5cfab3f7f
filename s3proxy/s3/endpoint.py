"""The S3 data plane: one raw ASGI application, from the request line to the last byte out."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Protocol

import structlog

from backends.errors import BackendError, NotFound
from s3proxy.access import ANONYMOUS, Caller
from s3proxy.s3 import request as requests
from s3proxy.s3.errors import S3Error
from s3proxy.s3.handlers import HANDLERS
from s3proxy.s3.headers import refuse_unknown_promises
from s3proxy.s3.operations import Operation, Scope, find_operation
from s3proxy.s3.request import Receive, Request
from s3proxy.s3.response import HOST_ID, Response, failure
from s3proxy.s3.services import Services
from s3proxy.s3.signature import SignedRequest, claim, verify
from s3proxy.s3.translation import to_s3

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Message = MutableMapping[str, Any]

SERVER_FAILED: Final = 500
HOST_HEADER: Final = (b"x-amz-id-2", HOST_ID.encode())
BODILESS: Final = frozenset({204, 304})

log: Final = structlog.get_logger("s3")


class Observer(Protocol):
    """Told of every answer, once it is out."""

    def observe(
        self, operation: str, status: int, seconds: float, received: int, sent: int
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Wire:
    """How requests are read: our own domains, SigV2 or not, and the only region allowed, if any.

    With `log_requests` each request leaves a line in the log.
    """

    domains: tuple[str, ...] = ()
    sigv2: bool = False
    region: str | None = None
    log_requests: bool = False


class Endpoint:
    """Parses, authenticates, authorises, answers. One instance serves a whole process."""

    def __init__(self, services: Services, wire: Wire, observer: Observer) -> None:
        self._services = services
        self._wire = wire
        self._observer = observer
        self._numbers = count()
        self._process = os.urandom(4).hex().upper()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = self._read(scope, receive)
        try:
            response = await self._answer(request, scope)
        except S3Error as error:
            response = failure(error, request.resource, request.id)
        except BackendError as error:
            response = self._translated(error, request)
        except Exception:
            log.exception("request failed", request=request.id, operation=request.operation.name)
            response = failure(S3Error("InternalError"), request.resource, request.id)
        sent = await self._send(request, response, send)
        seconds = time.perf_counter() - started
        operation = request.operation.name
        self._observer.observe(operation, response.status, seconds, request.received, sent)
        if self._wire.log_requests:
            log.info(
                "request",
                request=request.id,
                operation=operation,
                resource=request.resource,
                client=request.caller.owner,
                status=response.status,
                milliseconds=round(seconds * 1000, 3),
                received=request.received,
                sent=sent,
            )

    def _read(self, scope: Message, receive: Receive) -> Request:
        number = next(self._numbers)
        return Request(
            id=f"{self._process}{number:08X}",
            method=scope["method"],
            path="",
            raw_query="",
            headers=requests.parse_headers(scope["headers"]),
            query={},
            host_bucket="",
            bucket="",
            key="",
            receive=receive,
        )

    async def _answer(self, request: Request, scope: Message) -> Response:
        request.path = requests.text_of(scope["raw_path"])
        request.raw_query = requests.text_of(scope["query_string"])
        request.query = requests.parse_query(request.raw_query)
        request.host_bucket = requests.bucket_of_host(
            request.headers.get("host", ""), self._wire.domains
        )
        request.bucket, request.key = requests.split_path(request.path, request.host_bucket)
        request.operation = self._operation(request)
        await self._authenticate(request)
        await self._authorise(request)
        refuse_unknown_promises(request.headers)
        return await HANDLERS[request.operation.name](self._services, request)

    def _operation(self, request: Request) -> Operation:
        found = find_operation(request.method, request.scope, request.query, request.headers)
        if found is None:
            raise S3Error("MethodNotAllowed", details={"Method": request.method})
        return found

    async def _authenticate(self, request: Request) -> None:
        """Find out who asks. An anonymous caller stays one; a wrong signature is refused."""
        signed = SignedRequest(
            request.method, request.path, request.raw_query, request.headers, request.host_bucket
        )
        claimed = claim(signed, sigv2=self._wire.sigv2)
        if claimed is None:
            request.caller = ANONYMOUS
            return
        try:
            key = await self._services.access.key(claimed.access_key)
        except NotFound as error:
            raise S3Error(
                "InvalidAccessKeyId", details={"AWSAccessKeyId": claimed.access_key}
            ) from error
        request.seal = verify(
            claimed, signed, key.secret_key, now=int(time.time()), region=self._wire.region
        )
        request.payload = claimed.payload
        request.caller = Caller(key.owner, key.access_key)
        if claimed.expires is not None:
            requests.take_hoisted_headers(request)

    async def _authorise(self, request: Request) -> None:
        access = self._services.access
        access.require_client(request.caller)
        if request.scope is Scope.SERVICE or request.operation.name == "CreateBucket":
            return
        bucket = await self._services.buckets.find(request.bucket)
        access.require(request.caller, request.operation.right, bucket)
        expected = request.headers.get("x-amz-expected-bucket-owner", bucket.owner)
        if expected != bucket.owner:
            raise S3Error("AccessDenied", "The bucket belongs to another owner than expected.")

    def _translated(self, error: BackendError, request: Request) -> Response:
        s3 = to_s3(error)
        if s3.status >= SERVER_FAILED:
            log.error("request failed", request=request.id, error=str(error), code=s3.code)
        return failure(s3, request.resource, request.id)

    async def _send(self, request: Request, response: Response, send: Send) -> int:
        """Send the answer; how many bytes of body went out.

        A client that waits for "100 Continue" before its body, and is not going to get it, must
        not use the connection again: the next bytes on it could be taken for that body.
        """
        body = response.body
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": _headers_out(request, response),
            }
        )
        if not isinstance(body, bytes):
            length = int(response.headers["content-length"])
            return await _stream(body, length, request.receive, send)
        content = b"" if request.method == "HEAD" else body
        await send({"type": "http.response.body", "body": content})
        return len(content)


def _headers_out(request: Request, response: Response) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in response.headers.items()]
    headers += ((b"x-amz-request-id", request.id.encode()), HOST_HEADER)
    body = response.body
    known = "content-length" in response.headers or response.status in BODILESS
    if isinstance(body, bytes) and not known:
        headers.append((b"content-length", str(len(body)).encode()))
    if "expect" in request.headers and not request.body_asked:
        headers.append((b"connection", b"close"))
    return headers


async def _stream(
    body: AsyncGenerator[bytes, None], length: int, receive: Receive, send: Send
) -> int:
    """Send `length` bytes as they come, until the client is gone; how many went out."""
    sent = 0
    gone: asyncio.Task[None] | None = None
    try:
        async with aclosing(body):
            async for piece in body:
                sent += len(piece)
                await send(
                    {"type": "http.response.body", "body": piece, "more_body": sent < length}
                )
                if sent < length:
                    gone = gone or asyncio.create_task(_disconnect(receive))
                    if gone.done():
                        return sent
        if not length:
            await send({"type": "http.response.body", "body": b""})
        return sent
    finally:
        if gone:
            gone.cancel()


async def _disconnect(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        continue
