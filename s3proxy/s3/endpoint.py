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

from backends.errors import BackendError, Corrupt, NotFound
from backends.model import AccessKey
from s3proxy.access import ANONYMOUS, Caller
from s3proxy.s3 import request as requests
from s3proxy.s3.errors import S3Error
from s3proxy.s3.headers import refuse_unknown_promises
from s3proxy.s3.operations import Operation, find_operation
from s3proxy.s3.request import Receive, Request
from s3proxy.s3.response import HOST_ID, Response, failure
from s3proxy.s3.signature import SignedRequest, claim, verify
from s3proxy.s3.translation import to_s3

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Message = MutableMapping[str, Any]

ANSWER_WHOLE: Final = "clone-cloud-store.whole"  # in the scope's extensions, of our own server
RECEIVE_PIECES: Final = "clone-cloud-store.pieces"
SERVER_FAILED: Final = 500
HOST_HEADER: Final = (b"x-amz-id-2", HOST_ID.encode())
BODILESS: Final = frozenset({204, 304})

log: Final = structlog.get_logger("s3")


class Surface(Protocol):
    """What an endpoint answers for: whose keys are good, what they allow, what is done then."""

    async def key(self, access_key: str) -> AccessKey:
        """The enabled key of that name. NotFound."""

    async def authorise(self, request: Request) -> None:
        """Return if the caller may ask for this. AccessDenied, BucketNotFound, S3Error."""

    async def handle(self, request: Request) -> Response:
        """Do it."""


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

    def __init__(self, surface: Surface, wire: Wire, observer: Observer) -> None:
        self._surface = surface
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
        sent = await self._send(request, response, scope, send)
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
            receive=scope.get("extensions", {}).get(RECEIVE_PIECES, receive),
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
        await self._surface.authorise(request)
        refuse_unknown_promises(request.headers)
        return await self._surface.handle(request)

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
            key = await self._surface.key(claimed.access_key)
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

    def _translated(self, error: BackendError, request: Request) -> Response:
        s3 = to_s3(error)
        if s3.status >= SERVER_FAILED:
            log.error("request failed", request=request.id, error=str(error), code=s3.code)
        return failure(s3, request.resource, request.id)

    async def _send(self, request: Request, response: Response, scope: Message, send: Send) -> int:
        """Send the answer, in one write where the server can; how many bytes of body went out.

        A client that waits for "100 Continue" before its body, and is not going to get it, must
        not use the connection again: the next bytes on it could be taken for that body.
        """
        body = response.body
        headers = _headers_out(request, response)
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        if not isinstance(body, bytes):
            await send(start)
            return await self._stream(request, response, body, send)
        content = b"" if request.method == "HEAD" else body
        if at_once := scope.get("extensions", {}).get(ANSWER_WHOLE):
            await at_once(response.status, headers, content)
        else:
            await send(start)
            await send({"type": "http.response.body", "body": content})
        return len(content)

    async def _stream(
        self, request: Request, response: Response, body: AsyncGenerator[bytes, None], send: Send
    ) -> int:
        """Send a body; one that breaks off ends here, and so does the connection, short of it."""
        sending = Sending(int(response.headers["content-length"]), request.receive, send)
        try:
            await sending.run(body)
        except BackendError as error:
            self._broken_off(error, request, sending.sent)
        return sending.sent

    def _broken_off(self, error: BackendError, request: Request, sent: int) -> None:
        log.error("answer broken off", request=request.id, error=str(error), sent=sent)


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


@dataclass(slots=True)
class Sending:
    """A body on its way to a client; `sent` bytes of its `length` are out."""

    length: int
    receive: Receive
    send: Send
    sent: int = 0

    async def run(self, body: AsyncGenerator[bytes, None]) -> None:
        """Send it as it comes, until the client is gone. Corrupt where it is too long."""
        gone: asyncio.Task[None] | None = None
        try:
            async with aclosing(body):
                async for piece in body:
                    await self._send(piece)
                    if self.sent < self.length:
                        gone = gone or asyncio.create_task(_disconnect(self.receive))
                        if gone.done():
                            return
            if not self.length:
                await self._send(b"")
        finally:
            if gone:
                gone.cancel()

    async def _send(self, piece: bytes) -> None:
        if self.sent + len(piece) > self.length:
            raise Corrupt("the storage has more bytes than the object")
        self.sent += len(piece)
        more = self.sent < self.length
        await self.send({"type": "http.response.body", "body": piece, "more_body": more})


async def _disconnect(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        continue
