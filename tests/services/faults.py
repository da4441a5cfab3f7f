"""A link between a gateway and a storage server that can be told to fail: a TCP proxy.

It passes HTTP/1.1 on byte by byte, so that signatures stay good: the client signs for the link's
address, the server sees that address in the Host header.
"""

import re
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import Enum
from io import BufferedIOBase
from typing import Final

from tests.services.http_wire import Head, answer_body, read_head, request_body
from tests.services.process import free_port

LOOPBACK: Final = "127.0.0.1"
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST, at once
SMALL_BUFFER: Final = 64 * 1024  # so that a link that stops reading is felt soon
FOR_EVER: Final = sys.maxsize


class Act(Enum):
    """What a link does to a message."""

    ANSWER = "answer the request itself, once its body is read"
    SILENCE = "stop in the body, reading and writing nothing more, connections kept"
    CUT = "close both connections in the body"
    RESET = "close both connections in the body with a reset"
    LOSE = "let the server work, and throw its answer away"
    FLIP = "change one byte of the body"
    DELAY = "wait before the message's head"
    THROTTLE = "let the body through at a rate"


class Way(Enum):
    """Which message of an exchange."""

    REQUEST = "to the storage"
    REPLY = "from the storage"


@dataclass
class Fault:
    """Happens to the next `times` requests whose method and path (with query) fit.

    `at` is an offset in the body: what is before it passes (of a REPLY, -1 holds the head back
    too). `amount` is a delay in seconds, or a rate in bytes a second.
    """

    act: Act
    way: Way = Way.REPLY
    at: int = 0
    amount: float = 0.0
    answer: bytes = b""
    method: str = ".*"
    path: str = ".*"
    times: int = FOR_EVER

    def fits(self, method: str, path: str) -> bool:
        """Whether the request is one of them, and there are times left."""
        named = re.fullmatch(self.method, method) and re.search(self.path, path)
        return bool(named) and self.times > 0


class Broken(Exception):
    """The link drops this exchange. With `reset`, by RST."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("dropped")
        self.reset = reset


@dataclass
class Link:
    """Listens on `port` and passes on to `target`. Faults are set at any time, from any thread.

    `seen` are the method and path of each request that came.
    """

    target: int
    port: int = field(default_factory=free_port)
    seen: list[tuple[str, str]] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _healed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: dict[socket.socket, socket.socket] = field(default_factory=dict)
    _exchanges: set["Exchange"] = field(default_factory=set)
    _listener: socket.socket | None = None
    _place: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    @property
    def under_way(self) -> int:
        """How many requests have no end yet."""
        return len(self._exchanges)

    @property
    def awaited(self) -> int:
        """Of those, how many are silenced whose client has not hung up."""
        with self._lock:
            silenced = [exchange for exchange in self._exchanges if exchange.silenced]
            return sum(not _has_hung_up(exchange.client) for exchange in silenced)

    def start(self) -> None:
        """Listen; after refuse(), on the same port again."""
        if self._place is None:
            self._place = socket.socket()
            self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._place.bind((LOOPBACK, self.port))
        if self._listener is None:
            listener = socket.create_server((LOOPBACK, self.port))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            self._listener = listener
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Refuse connections, and reset those there are; the port stays ours."""
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def drop(self) -> None:
        """Close the connections there are."""
        with self._lock:
            for client, server in self._open.items():
                _hang_up(client, reset=True)
                _hang_up(server, reset=False)

    def fail(self, *faults: Fault) -> None:
        """From now on these faults; those before are over."""
        with self._lock:
            self._healed.set()
            self._healed = threading.Event()
            self._faults = list(faults)

    def heal(self) -> None:
        """No faults: what is silenced is dropped, new requests pass."""
        self.fail()
        self.start()

    def close(self) -> None:
        self.fail()
        self.refuse()
        if self._place:
            self._place.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), closing(client), closing(socket.socket()) as server:
            with self._lock:
                self._open[client] = server
            try:
                server.connect((LOOPBACK, self.target))
                self._pass_on(client, server)
            finally:
                with self._lock:
                    del self._open[client]

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        asked, answered = client.makefile("rb"), server.makefile("rb")
        with asked, answered:
            try:
                while head := read_head(asked):
                    if not self._exchange(Exchange(head, client, server, asked, answered)):
                        return
            except Broken as broken:
                _hang_up(client, reset=broken.reset)
                _hang_up(server, reset=broken.reset)

    def _exchange(self, exchange: "Exchange") -> bool:
        """Pass a request and its answer on; whether the connection stays."""
        exchange.fault, exchange.healed = self._next(exchange.method, exchange.path)
        with self._lock:
            self._exchanges.add(exchange)
        try:
            if exchange.fault and exchange.fault.act is Act.ANSWER:
                exchange.answer(exchange.fault.answer)
                return False
            exchange.ask()
            return exchange.reply()
        finally:
            with self._lock:
                self._exchanges.remove(exchange)

    def _next(self, method: str, path: str) -> tuple[Fault | None, threading.Event]:
        with self._lock:
            self.seen.append((method, path))
            for fault in self._faults:
                if fault.fits(method, path):
                    fault.times -= 1
                    return fault, self._healed
            return None, self._healed


@dataclass(eq=False)
class Exchange:
    """One request and its answer, with the fault that happens to it."""

    head: Head
    client: socket.socket
    server: socket.socket
    asked: BufferedIOBase
    answered: BufferedIOBase
    fault: Fault | None = None
    healed: threading.Event = field(default_factory=threading.Event)
    silenced: bool = False

    @property
    def method(self) -> str:
        return self.head.words[0]

    @property
    def path(self) -> str:
        return self.head.words[1]

    def answer(self, canned: bytes) -> None:
        """Read the request, say this (of a HEAD only the head), hang up."""
        for _ in request_body(self.asked, self.head):
            pass
        head, end, body = canned.partition(b"\r\n\r\n")
        self.client.sendall(head + end + (b"" if self.method == "HEAD" else body))
        _hang_up(self.client, reset=False)

    def ask(self) -> None:
        """Pass the request on. A server that answers early may stop reading."""
        fault = self._fault_of(Way.REQUEST)
        body = request_body(self.asked, self.head)
        if fault and fault.act is Act.DELAY:
            self.healed.wait(fault.amount)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.server.sendall(self.head.raw)
            for block in self._faulty(_until_reset(body), fault):
                self.server.sendall(block)

    def reply(self) -> bool:
        """Pass the answer on; whether both connections stay."""
        head = read_head(self.answered)
        if head is None:
            raise Broken
        fault = self._fault_of(Way.REPLY)
        body = answer_body(self.answered, head, self.method)
        self._before(fault, body)
        self.client.sendall(head.raw)
        for block in self._faulty(body, fault):
            self.client.sendall(block)
        return not (head.closes or self.head.closes)

    def _fault_of(self, way: Way) -> Fault | None:
        return self.fault if self.fault and self.fault.way is way else None

    def _before(self, fault: Fault | None, body: Iterator[bytes]) -> None:
        """What happens before the head of an answer."""
        if fault is None:
            return
        if fault.act is Act.DELAY:
            self.healed.wait(fault.amount)
        if fault.act is Act.LOSE:
            for _ in body:
                pass
            raise Broken
        if fault.at < 0:
            self._end(fault)

    def _faulty(self, body: Iterator[bytes], fault: Fault | None) -> Iterator[bytes]:
        """The body, as the fault leaves it."""
        if fault is None:
            yield from body
            return
        passed = 0
        for block in body:
            if fault.act is Act.THROTTLE:
                self.healed.wait(len(block) / fault.amount)
            if not passed <= fault.at < passed + len(block):
                yield block
            elif fault.act is Act.FLIP:
                yield _flipped(block, fault.at - passed)
            else:
                yield block[: fault.at - passed]
                self._end(fault)
                yield block[fault.at - passed :]
            passed += len(block)

    def _end(self, fault: Fault) -> None:
        """Go on no more, if the fault is one that ends an exchange."""
        if fault.act is Act.SILENCE:
            self.silenced = True
            self.healed.wait()
            raise Broken
        if fault.act in {Act.CUT, Act.RESET}:
            raise Broken(reset=fault.act is Act.RESET)


def _until_reset(body: Iterator[bytes]) -> Iterator[bytes]:
    """A client's body; a reset of its connection breaks the server's, too."""
    try:
        yield from body
    except ConnectionResetError as error:
        raise Broken(reset=True) from error


def _flipped(block: bytes, at: int) -> bytes:
    return block[:at] + bytes([block[at] ^ 0xFF]) + block[at + 1 :]


def _has_hung_up(client: socket.socket) -> bool:
    try:
        return not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _hang_up(client: socket.socket, *, reset: bool) -> None:
    """End the connection, also for the thread that reads from it."""
    with suppress(OSError):
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
