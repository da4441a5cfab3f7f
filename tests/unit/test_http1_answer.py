"""Answers of HTTP/1.1, from raw bytes, however they are cut."""

import pytest

from backends.storage.http1.answer import MOST_HEAD, Answer
from backends.storage.http1.errors import Broken

OK = b"HTTP/1.1 200 OK\r\n"
MEOW = OK + b"Content-Length: 4\r\n\r\nmeow"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\nETag: no\r\n\r\n"


def read(data: bytes, step: int, *, head_only: bool = False, closes: bool = False) -> Answer:
    answer = Answer(head_only=head_only)
    for at in range(0, len(data), step):
        answer.feed(data[at : at + step])
    if closes:
        answer.closed()
    return answer


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (MEOW, b"meow"),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (CHUNKED + b"2\r\nme\r\n2;x=y\r\now\r\n0\r\n\r\n", b"meow"),
        (CHUNKED + b"4\r\nmeow\r\n0\r\nETag: no\r\n\r\n", b"meow"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", b""),
        (CONTINUE + MEOW, b"meow"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2 + OK + b"Content-Length: 0\r\n\r\n", b""),
    ],
)
def test_any_split_gives_the_same_answer(data: bytes, body: bytes, step: int) -> None:
    answer = read(data, step)

    assert (answer.take(), answer.ended, answer.reusable) == (body, True, True)
    assert "etag" not in answer.headers


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_the_head_is_there_before_the_body(step: int) -> None:
    answer = read(OK + b'ETag: "e"\r\nX-A: 1\r\nx-a:  2 \r\nContent-Length: 9\r\n\r\n', step)

    assert (answer.status, answer.headed, answer.ended) == (200, True, False)
    assert answer.headers == {"etag": '"e"', "x-a": "1, 2", "content-length": "9"}


def test_bytes_above_127_are_utf_8_where_they_can_be() -> None:
    answer = read(OK + b"x-a: \xc3\xa9\r\nx-b: \xe9\r\nContent-Length: 0\r\n\r\n", 1000)

    assert answer.headers["x-a"] == "\xe9"
    assert answer.headers["x-b"] == "\udce9"


@pytest.mark.parametrize("step", [1, 1000])
def test_the_answer_to_a_head_has_no_body_whatever_its_length(step: int) -> None:
    answer = read(OK + b"Content-Length: 4\r\n\r\n", step, head_only=True)

    assert (answer.ended, answer.reusable, answer.take()) == (True, True, b"")


@pytest.mark.parametrize("step", [1, 1000])
def test_a_body_without_length_ends_with_the_connection(step: int) -> None:
    answer = read(OK + b"\r\nmeow", step)
    assert not answer.ended

    answer.closed()

    assert (answer.take(), answer.ended, answer.reusable) == (b"meow", True, False)


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_a_connection_is_kept_as_both_sides_say(head: bytes, reusable: bool) -> None:
    answer = read(head + b"Content-Length: 4\r\n\r\nmeow", 1000)

    assert (answer.ended, answer.reusable) == (True, reusable)


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize(
    ("data", "head_only", "body"),
    [
        (MEOW + b"meow", False, b"meow"),
        (MEOW + MEOW, False, b"meow"),
        (MEOW, True, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\nmeow", False, b""),
        (CHUNKED + b"4\r\nmeow\r\n0\r\n\r\nmeow", False, b"meow"),
    ],
)
def test_what_nobody_asked_for_spoils_the_connection_only(
    data: bytes, head_only: bool, body: bytes, step: int
) -> None:
    answer = read(data, step, head_only=head_only)

    assert answer.take() == body
    assert (answer.ended, answer.reusable) == (True, False)


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\x00\x00\x00",
        b"HTTP/2.0 200 OK\r\n\r\n",
        OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nmeow",
        OK + b"Content-Length: -4\r\n\r\n",
        OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"xyz\r\n",
        OK + b"no header\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        OK + b"X-A: " + b"a" * (MOST_HEAD + 1),
    ],
)
def test_garbage_is_no_answer(data: bytes, step: int) -> None:
    with pytest.raises(Broken):
        read(data, step, closes=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        OK + b"Content-Length: 4\r\n\r\n",
        OK + b"Content-Length: 4\r\n\r\nmeo",
        CHUNKED + b"4\r\nmeow\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_an_answer_that_is_cut_is_none(data: bytes, step: int) -> None:
    with pytest.raises(Broken):
        read(data, step, closes=True)


def test_what_was_taken_is_not_taken_again() -> None:
    answer = read(OK + b"Content-Length: 8\r\n\r\nmeow", 3)
    assert (answer.take(), answer.buffered) == (b"meow", 0)

    answer.feed(b"me")
    answer.feed(b"ow")

    assert (answer.buffered, answer.take(), answer.ended) == (4, b"meow", True)
