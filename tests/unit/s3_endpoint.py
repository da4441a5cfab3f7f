"""An S3 endpoint that answers as it is told, and remembers what it was asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from aiohttp import web

from backends.storage.s3 import S3Options, S3Store

CUT: Final = 0
PIECE_SECONDS: Final = 0.05
UPLOAD: Final = (
    b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
)
COMPLETED: Final = (
    b'<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>'
)
COPIED: Final = b'<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>'


class Answer(NamedTuple):
    """A status (CUT breaks the connection instead) with headers and the pieces of a body."""

    status: int = 200
    headers: Mapping[str, str] = {"ETag": '"e"'}
    pieces: Sequence[bytes] = ()


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def failure(status: int, code: str, *more: str, **headers: str) -> Answer:
    """An error document; `more` are elements of it."""
    document = f"<Error><Code>{code}</Code><Message>no</Message>{''.join(more)}</Error>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, [document.encode()])


@dataclass
class Endpoint:
    """Answers with `answers` one after the other, then with what each verb wants."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def methods(self) -> list[str]:
        return [one.method for one in self.asked]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.raw_path, request.headers, body))
        answer = self.answers.pop(0) if self.answers else usual(request)
        if answer.status == CUT:
            assert request.transport
            request.transport.abort()
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = sum(map(len, answer.pieces))
        await response.prepare(request)
        for piece in answer.pieces if request.method != "HEAD" else []:
            await response.write(piece)
            await asyncio.sleep(PIECE_SECONDS if len(answer.pieces) > 1 else 0)
        return response


def usual(request: web.Request) -> Answer:
    """What a storage that is well says."""
    if "uploads" in request.query:
        return Answer(pieces=[UPLOAD])
    if request.method == "POST" and "uploadId" in request.query:
        return Answer(pieces=[COMPLETED])
    if "x-amz-copy-source" in request.headers:
        return Answer(pieces=[COPIED])
    return Answer()


@asynccontextmanager
async def serving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Endpoint]:
    """An endpoint that listens."""
    endpoint = Endpoint()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", r"/{tail:[\s\S]*}", endpoint.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    endpoint.port = runner.addresses[0][1]
    try:
        yield endpoint
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(endpoint: str, **options: Any) -> AsyncIterator[S3Store]:
    """A store at that URL."""
    known = {"endpoint": endpoint, "access_key": "me", "secret_key": "secret"}
    store = S3Store(S3Options(**{**known, **options}))
    try:
        yield store
    finally:
        await store.close()
