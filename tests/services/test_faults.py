"""The faulty link, itself tried: each fault, seen by a plain client."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import pytest

from tests.e2e.waiting import until
from tests.services import canned
from tests.services.faults import Act, Fault, Link, Way

BODY: Final = bytes(range(256)) * 1024
PATIENCE: Final = 0.3
WAIT: Final = 10


class Kept(BaseHTTPRequestHandler):
    """Keeps what is put in `bodies`; every GET answers BODY, in chunks below /chunked."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
            return
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        self.bodies.append(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bodies() -> list[bytes]:
    return []


@pytest.fixture
def link(bodies: list[bytes]) -> Iterator[Link]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Server", (Kept,), {"bodies": bodies}))
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    opened = Link(server.server_address[1])
    opened.start()
    yield opened
    opened.close()
    server.shutdown()
    server.server_close()
    serving.join()


def ask(link: Link, method: str = "GET", path: str = "/", body: bytes = b"") -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", link.port, timeout=PATIENCE)
    with closing(client):
        client.request(method, path, body or None)
        answer = client.getresponse()
        return answer.status, answer.read()


def works(link: Link) -> bool:
    try:
        return ask(link) == (200, BODY)
    except (OSError, http.client.HTTPException):
        return False


def test_without_faults_everything_passes_over_one_connection(
    link: Link, bodies: list[bytes]
) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", link.port, timeout=WAIT)) as client:
        for method, path, body, expected in [
            ("GET", "/", b"", BODY),
            ("GET", "/chunked", b"", BODY),
            ("HEAD", "/", b"", b""),
            ("PUT", "/cat", BODY, b""),
            ("GET", "/again", b"", BODY),
        ]:
            client.request(method, path, body or None)
            assert client.getresponse().read() == expected
        assert link.connections == 1
    assert bodies == [BODY]
    assert link.seen[:2] == [("GET", "/"), ("GET", "/chunked")]
    until(lambda: link.connections == 0, "the connection to be let go", WAIT)


def test_connections_are_refused_until_it_heals(link: Link) -> None:
    link.refuse()
    with pytest.raises(ConnectionRefusedError):
        ask(link)
    link.heal()
    assert works(link)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(Act.SILENCE, at=-1), TimeoutError),
        (Fault(Act.SILENCE, at=1000), TimeoutError),
        (Fault(Act.CUT, at=-1), http.client.RemoteDisconnected),
        (Fault(Act.CUT, at=1000), http.client.IncompleteRead),
        (Fault(Act.RESET, at=-1), ConnectionResetError),
        (Fault(Act.LOSE), http.client.RemoteDisconnected),
        (Fault(Act.DELAY, amount=2 * PATIENCE), TimeoutError),
        (Fault(Act.THROTTLE, amount=1000), TimeoutError),
        (Fault(Act.ANSWER, answer=canned.GARBAGE), http.client.BadStatusLine),
    ],
    ids=lambda value: f"{value.act.name}{value.at}" if isinstance(value, Fault) else "",
)
def test_an_answer_that_does_not_come_whole(
    link: Link, fault: Fault, error: type[Exception]
) -> None:
    link.fail(fault)
    with pytest.raises(error):
        ask(link)
    link.heal()
    assert works(link)


@pytest.mark.parametrize("act", [Act.CUT, Act.RESET, Act.SILENCE])
def test_a_request_that_does_not_arrive_whole(link: Link, bodies: list[bytes], act: Act) -> None:
    link.fail(Fault(act, Way.REQUEST, at=1000))
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(link, "PUT", "/cat", BODY * 64)
    assert bodies == []
    link.heal()
    assert ask(link, "PUT", "/cat", b"meow") == (204, b"")
    assert bodies == [b"meow"]


def test_a_lost_answer_is_one_to_a_request_that_arrived(link: Link, bodies: list[bytes]) -> None:
    link.fail(Fault(Act.LOSE))
    with pytest.raises(http.client.RemoteDisconnected):
        ask(link, "PUT", "/cat", b"meow")
    assert bodies == [b"meow"]


@pytest.mark.parametrize("at", [0, 1000, len(BODY) - 1])
def test_just_one_byte_is_another_in_either_direction(
    link: Link, bodies: list[bytes], at: int
) -> None:
    wrong = BODY[:at] + bytes([BODY[at] ^ 0xFF]) + BODY[at + 1 :]
    link.fail(Fault(Act.FLIP, at=at), Fault(Act.FLIP, Way.REQUEST, at))
    assert ask(link) == (200, wrong)
    link.fail(Fault(Act.FLIP, Way.REQUEST, at))
    ask(link, "PUT", "/cat", BODY)
    assert bodies == [wrong]


def test_a_fault_is_for_so_many_of_the_requests_that_fit(link: Link) -> None:
    slow = Fault(Act.ANSWER, answer=canned.TOO_MANY, method="GET", path="cat", times=2)
    link.fail(slow)
    answers = [ask(link, "GET", path)[0] for path in ("/dog", "/cat", "/cat?x", "/cat")]
    assert answers == [200, 429, 429, 200]


def test_an_answer_is_delayed_no_longer_than_told(link: Link) -> None:
    link.fail(Fault(Act.DELAY, amount=0.1), Fault(Act.DELAY, Way.REQUEST, amount=0.1))
    started = time.monotonic()
    assert works(link)
    assert time.monotonic() - started >= 0.1
