"""Requests one after the other on one connection: where a body ends, the next one begins."""

import hashlib

import pytest

from tests.wire.gateway import Client, read_answer

END = b"\r\n\r\n"
MIB = 1024 * 1024
SIZE = 3 * MIB
LONG = bytes(range(256)) * (SIZE // 256)


def put(client: Client, bucket: str, key: str, body: bytes) -> bytes:
    return client.head_of("PUT", f"/{bucket}/{key}", body=body) + body


def get(client: Client, bucket: str, key: str) -> bytes:
    return client.head_of("GET", f"/{bucket}/{key}")


@pytest.mark.parametrize("step", [1000, 70_000, 300_000, 2 * SIZE])
def test_a_long_body_ends_where_it_says(client: Client, bucket: str, step: int) -> None:
    last = client.head_of("GET", f"/{bucket}/cat", {"connection": "close"})
    told = put(client, bucket, "cat", LONG) + last

    with client.connect() as connection:
        for at in range(0, len(told), step):
            connection.sendall(told[at : at + step])
        stored, _, read = b"".join(iter(lambda: connection.recv(65536), b"")).partition(END)

    assert stored.startswith(b"HTTP/1.1 200 OK")
    assert hashlib.md5(LONG).hexdigest().encode() in stored
    assert read.partition(END)[2] == LONG


def test_long_bodies_follow_each_other(client: Client, bucket: str) -> None:
    bodies = [LONG, LONG[: MIB + 1], b"meow", LONG[1:]]

    with client.connect() as connection:
        for number, body in enumerate(bodies):
            connection.sendall(put(client, bucket, f"cat{number}", body))
            assert read_answer(connection).status == 200
        for number, body in enumerate(bodies):
            connection.sendall(get(client, bucket, f"cat{number}"))
            assert read_answer(connection).body == body


def test_a_body_that_nobody_wanted_is_passed_over(client: Client, bucket: str) -> None:
    refused = client.head_of("PUT", f"/{bucket}/cat", {"x-amz-acl": "everybody"}, body=LONG)

    with client.connect() as connection:
        connection.sendall(refused)
        assert read_answer(connection).code == "InvalidArgument"
        connection.sendall(LONG + put(client, bucket, "dog", b"woof"))
        assert read_answer(connection).status == 200
        connection.sendall(get(client, bucket, "dog"))
        assert read_answer(connection).body == b"woof"


def test_a_long_body_waits_for_continue(client: Client, bucket: str) -> None:
    head = client.head_of("PUT", f"/{bucket}/cat", {"expect": "100-continue"}, body=LONG)

    with client.connect() as connection:
        connection.sendall(head)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(LONG)
        assert read_answer(connection).status == 200

    assert client.ask("GET", f"/{bucket}/cat").body == LONG


def test_a_small_answer_comes_in_one_piece(client: Client, bucket: str) -> None:
    assert client.ask("PUT", f"/{bucket}/cat", body=b"meow").status == 200

    with client.connect() as connection:
        connection.sendall(client.head_of("GET", f"/{bucket}"))
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"</ListBucketResult>")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_connection_closes_after_what_is_told_to_be_the_last(
    client: Client, bucket: str, version: str
) -> None:
    head = client.head_of("GET", f"/{bucket}", {"connection": "close"})

    with client.connect() as connection:
        connection.sendall(head.replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1))
        answer = read_answer(connection)
        assert connection.recv(1) == b""

    assert answer.status == 200
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("evil", ["a%0D%0Aset-cookie%3A%20x", "a%0Ab", "a%00b", "a%7Fb"])
def test_no_header_is_ended_by_its_value(client: Client, bucket: str, evil: str) -> None:
    assert client.ask("PUT", f"/{bucket}/cat", body=b"meow").status == 200

    answer = client.ask("GET", f"/{bucket}/cat?response-content-type={evil}")

    assert (answer.status, answer.code) == (400, "InvalidArgument")
