"""A closed loop of load: each connection sends its next request when its last answer is whole.

One thread over edge-triggered epoll and sockets. Requests are signed before the run, bodies are
made of one block, and what a server sends is dropped in the kernel where TLS does not forbid it:
the client's own work is small beside its system calls, and beside a server's work.
"""

import contextlib
import gc
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.answers import Answer
from bench.target import BLOCK, Request, Target

BLOCK_VIEW: Final = memoryview(BLOCK)
READ_BYTES: Final = 256 * 1024
RECEIVED: Final = memoryview(bytearray(READ_BYTES))  # one thread, and nothing stays in it
EDGES: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
SILENCE_SECONDS: Final = 120.0


@dataclass(slots=True)
class Outcome:
    """What a run saw; latencies are of good answers, in nanoseconds."""

    latencies: list[int] = field(default_factory=list)
    seconds: float = 0.0
    errors: int = 0
    first_error: str = ""

    @property
    def requests(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """The latency in milliseconds that so many percent of requests do not exceed."""
        ordered = sorted(self.latencies)
        if not ordered:
            return 0.0
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] / 1e6


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, target: Target) -> None:
        self._drops_in_kernel = target.tls is None
        self.socket = target.connect()
        self.answer = Answer(has_body=False)
        self.began = 0
        self.idle = True
        self._request = Request(b"")
        self._sent = 0
        self._end = 0

    def begin(self, request: Request) -> None:
        """Start a request; `went_on` carries it to its end."""
        self._request, self._sent = request, 0
        self._end = len(request.head) + request.length
        self.answer = Answer(request.answer_has_body)
        self.idle = False
        self.began = time.perf_counter_ns()
        self._send()

    def went_on(self) -> bool:
        """Send and receive what the kernel takes and has; whether the answer is whole."""
        if self._sent < self._end:
            self._send()
        self.idle = self._receive()
        return self.idle

    @property
    def reusable(self) -> bool:
        return self._sent == self._end and not self.answer.closes

    def _send(self) -> None:
        with contextlib.suppress(*WOULD_BLOCK):
            while self._sent < self._end:
                self._sent += self.socket.send(self._piece())

    def _piece(self) -> bytes | memoryview:
        head = self._request.head
        if self._sent < len(head):
            return head[self._sent :]
        start = (self._sent - len(head)) % len(BLOCK)
        return BLOCK_VIEW[start : start + self._end - self._sent]

    def _receive(self) -> bool:
        answer = self.answer
        try:
            while True:
                if answer.remaining > 0 and self._drops_in_kernel and answer.status < 300:
                    whole = answer.passed_over(self._dropped(answer.remaining))
                else:
                    whole = answer.ends_with(self._received())
                if whole:
                    return True
        except WOULD_BLOCK:
            return False

    def _dropped(self, limit: int) -> int:
        size = min(limit, READ_BYTES)
        return self._checked(self.socket.recv_into(RECEIVED, size, socket.MSG_TRUNC))

    def _received(self) -> bytes:
        return RECEIVED[: self._checked(self.socket.recv_into(RECEIVED))].tobytes()

    def _checked(self, count: int) -> int:
        if count == 0:
            raise ConnectionResetError("the server closed the connection before its answer ended")
        return count


class Load:
    """Runs scripts of requests against a target, one connection each."""

    def __init__(self, target: Target, scripts: Sequence[Iterator[Request]]) -> None:
        self._target = target
        self._poll = select.epoll()
        self._scripts: dict[Connection, Iterator[Request]] = {}
        self._connections: dict[int, Connection] = {}
        self._busy = 0
        self._deadline = 0
        self.outcome = Outcome()
        for script in scripts:
            self._open(script)

    def run(self, seconds: float) -> Outcome:
        """Send until the time is up or the scripts end; answers under way are waited for."""
        began = time.perf_counter_ns()
        self._deadline = began + int(seconds * 1e9)
        with self._poll, without_collector():
            for connection in list(self._scripts):
                self._next(connection)
            while self._busy:
                self._turn()
        self.outcome.seconds = (time.perf_counter_ns() - began) / 1e9
        for connection in self._scripts:
            connection.socket.close()
        return self.outcome

    def _turn(self) -> None:
        events = self._poll.poll(SILENCE_SECONDS)
        if not events:
            raise TimeoutError(f"{self._target.name}: no answer in {SILENCE_SECONDS:.0f} s")
        for descriptor, _ in events:
            connection = self._connections.get(descriptor)
            if connection is not None and not connection.idle:
                self._serve(connection)

    def _serve(self, connection: Connection) -> None:
        try:
            whole = connection.went_on()
        except ConnectionError as error:
            self._fail(str(error))
            self._busy -= 1
            self._next(self._reopened(connection))
            return
        if whole:
            self._record(connection)
            self._busy -= 1
            self._next(connection if connection.reusable else self._reopened(connection))

    def _record(self, connection: Connection) -> None:
        answer = connection.answer
        if answer.status < 300:
            self.outcome.latencies.append(time.perf_counter_ns() - connection.began)
        else:
            self._fail(f"{answer.status} {answer.error.decode(errors='replace')}")

    def _fail(self, message: str) -> None:
        self.outcome.errors += 1
        self.outcome.first_error = self.outcome.first_error or message

    def _next(self, connection: Connection) -> None:
        while (request := self._due(connection)) is not None:
            try:
                connection.begin(request)
            except ConnectionError as error:
                self._fail(str(error))
                connection = self._reopened(connection)
            else:
                self._busy += 1
                return

    def _due(self, connection: Connection) -> Request | None:
        if time.perf_counter_ns() >= self._deadline:
            return None
        return next(self._scripts[connection], None)

    def _open(self, script: Iterator[Request]) -> Connection:
        connection = Connection(self._target)
        self._scripts[connection] = script
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, EDGES)
        return connection

    def _reopened(self, connection: Connection) -> Connection:
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
        return self._open(self._scripts.pop(connection))


def run_load(
    target: Target, requests: Iterator[Request], concurrency: int, seconds: float
) -> Outcome:
    """Let so many connections share one script."""
    return Load(target, [requests] * concurrency).run(seconds)


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector from stopping the client in the middle of a run."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
