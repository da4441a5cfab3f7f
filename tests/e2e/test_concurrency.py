"""Promise 5: concurrent writers of one key end with one winner, with two processes too."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from tests.e2e.agreement import digests
from tests.e2e.bodies import KIB, MIB, body, digest
from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.server import Server

WRITERS = 8


@pytest.fixture
def pair(start: Start) -> Server:
    """A server of two processes."""
    return start(workers=2)


@pytest.fixture
def s3(pair: Server) -> Iterator[S3Client]:
    with s3_client(pair) as client:
        yield client


@pytest.fixture
def bucket(s3: S3Client) -> str:
    return fresh_bucket(s3)


@pytest.fixture
def each(pair: Server) -> Iterator[Callable[..., list[int]]]:
    """Runs `act(client, number)` in many threads at the same moment; the answers' statuses.

    Every thread has a client, and so connections, of its own: both processes are reached.
    """
    barrier = threading.Barrier(WRITERS)
    with ExitStack() as stack:
        clients = [stack.enter_context(s3_client(pair)) for _ in range(WRITERS)]
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS))

        def run(act: Callable[[S3Client, int], object]) -> list[int]:
            def one(number: int) -> int:
                barrier.wait()
                return status_of(lambda: act(clients[number], number))

            return list(pool.map(one, range(WRITERS)))

        yield run


def status_of(act: Callable[[], object]) -> int:
    try:
        act()
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return 200


@pytest.mark.parametrize("size", [100, 100 * KIB, 3 * MIB])
def test_of_many_writers_of_a_key_one_wins_everywhere(
    s3: S3Client, bucket: str, each: Callable[..., list[int]], size: int
) -> None:
    bodies = [body(size, seed) for seed in range(WRITERS)]

    for turn in range(5):
        key = f"cat-{turn}"
        statuses = each(
            lambda client, number, key=key: client.put_object(
                Bucket=bucket, Key=key, Body=bodies[number]
            )
        )

        assert statuses == [200] * WRITERS
        assert digests(s3, bucket, [key])[key] in {digest(content) for content in bodies}


def test_of_many_who_create_a_key_only_one_does(
    s3: S3Client, bucket: str, each: Callable[..., list[int]]
) -> None:
    bodies = [body(50 * KIB, seed) for seed in range(WRITERS)]

    for turn in range(10):
        key = f"lock-{turn}"
        statuses = each(
            lambda client, number, key=key: client.put_object(
                Bucket=bucket, Key=key, Body=bodies[number], IfNoneMatch="*"
            )
        )

        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 409, 412}
        winner = digest(bodies[statuses.index(200)])
        assert digests(s3, bucket, [key])[key] == winner


def test_of_many_who_change_what_they_read_only_one_does(
    s3: S3Client, bucket: str, each: Callable[..., list[int]]
) -> None:
    etag = s3.put_object(Bucket=bucket, Key="counter", Body=b"0")["ETag"]

    statuses = each(
        lambda client, number: client.put_object(
            Bucket=bucket, Key="counter", Body=str(number + 1).encode(), IfMatch=etag
        )
    )

    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 412}
    expected = digest(str(statuses.index(200) + 1).encode())
    assert digests(s3, bucket, ["counter"])["counter"] == expected


def test_writers_and_deleters_leave_one_state(
    s3: S3Client, bucket: str, each: Callable[..., list[int]]
) -> None:
    def act(client: S3Client, number: int) -> None:
        if number % 2:
            client.delete_object(Bucket=bucket, Key="cat")
        else:
            client.put_object(Bucket=bucket, Key="cat", Body=body(200 * KIB, number))

    for _ in range(5):
        assert set(each(act)) == {200}
        digests(s3, bucket, ["cat"])


def test_a_reader_gets_one_whole_body_while_the_key_is_overwritten(
    pair: Server, s3: S3Client, bucket: str
) -> None:
    bodies = [body(size, seed) for seed, size in enumerate([4 * MIB, 10 * KIB, 2 * MIB, 300])]
    whole = {digest(content) for content in bodies}
    s3.put_object(Bucket=bucket, Key="cat", Body=bodies[0])
    is_over = threading.Event()

    def read() -> int:
        reads = 0
        with s3_client(pair) as client:
            while not is_over.is_set() or reads == 0:
                assert read_slowly(client, bucket, "cat") in whole
                reads += 1
        return reads

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for turn in range(40):
            s3.put_object(Bucket=bucket, Key="cat", Body=bodies[turn % len(bodies)])
        is_over.set()
        assert sum(reader.result() for reader in readers) >= len(readers)


def read_slowly(client: S3Client, bucket: str, key: str) -> str:
    """The digest of a body that is read in small blocks, with its length checked by the SDK."""
    found = hashlib.sha256()
    for block in client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(16 * KIB):
        found.update(block)
    return found.hexdigest()
