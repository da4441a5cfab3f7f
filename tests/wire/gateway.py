"""A real gateway in this process, and a client that says exactly which bytes it sends."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import uvicorn
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3proxy import app
from s3proxy.config import Settings
from s3proxy.first_key import new_key
from s3proxy.listeners import S3, bind
from s3proxy.protocol import protocol
from s3proxy.server import Stoppable

MAIN = Credentials("main-key", "main-secret")
OTHER = Credentials("other-key", "other-secret")
PATIENCE = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an S3 error; "" where the body is none."""
        if not self.body.startswith(b"<?xml"):
            return ""
        return ElementTree.fromstring(self.body).findtext("Code") or ""


class Signer(S3SigV4Auth):
    """Signs for the payload it is told, whatever the body is."""

    def __init__(self, credentials: Credentials, said: str | None) -> None:
        super().__init__(credentials, "s3", "us-east-1")
        self._said = said

    def payload(self, request: AWSRequest) -> str:
        return self._said if self._said is not None else str(super().payload(request))


@dataclass(frozen=True)
class Client:
    """Talks to one port."""

    port: int

    def raw(self, *pieces: bytes, half_close: bool = False) -> Answer:
        """Send the bytes, piece by piece, and read one answer."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_answer(connection)

    @contextmanager
    def connect(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield connection

    def head_of(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        credentials: Credentials | None = MAIN,
        payload: str | None = None,
    ) -> bytes:
        """A request's line and headers, signed, with a Content-Length unless one is given."""
        sent = {"host": f"127.0.0.1:{self.port}", **(headers or {})}
        request = AWSRequest(method, f"http://{sent['host']}{target}", sent, body)
        if credentials:
            Signer(credentials, payload).add_auth(request)
        names = {name.lower() for name in request.headers}
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        credentials: Credentials | None = MAIN,
        payload: str | None = None,
    ) -> Answer:
        """Send a signed request and read its answer."""
        head = self.head_of(
            method, target, headers, body=body, credentials=credentials, payload=payload
        )
        with self.connect() as connection:
            connection.sendall(head + body)
            return read_answer(connection, method)


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """The next answer on the connection."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@contextmanager
def running(data: Path, listener: str = S3, **sections: Mapping[str, object]) -> Iterator[Client]:
    """A gateway on its own loop in a thread, with two clients' keys, by one of its listeners."""
    settings = Settings.model_validate({"storage": {"data": data, "durable": False}, **sections})
    bound = bind("127.0.0.1", 0)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with app.gateway(settings) as gateway:
            for owner, known in (("main", MAIN), ("other", OTHER)):
                await gateway.state.put_key(new_key(owner, known.access_key, known.secret_key))
            server = settings.server
            config = uvicorn.Config(
                gateway.applications[listener],
                http=protocol(server.max_header_bytes, server.header_seconds),
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=1,
            )
            server_at_work = Stoppable(config)
            serving = asyncio.create_task(server_at_work.serve(sockets=[bound]))
            started.set()
            await stop.wait()
            server_at_work.should_exit = True
            await serving

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(PATIENCE)
    try:
        yield Client(bound.getsockname()[1])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
