"""A server that is told to leave ends what is under way, then leaves with 0."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.server import STOP_SECONDS, Server
from tests.e2e.waiting import until

SIZE = 8 * MIB
HALF = SIZE // 2


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def leaving(request: pytest.FixtureRequest, start: Start) -> Server:
    return start(workers=request.param)


@pytest.fixture
def s3(leaving: Server) -> Iterator[S3Client]:
    with s3_client(leaving, signature_version="s3v4") as client:
        yield client


def begin(server: Server, s3: S3Client, call: str, bucket: str) -> http.client.HTTPConnection:
    """A connection on which the head of a presigned request was sent."""
    url = s3.generate_presigned_url(call, Params={"Bucket": bucket, "Key": "film"})
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest("PUT" if call == "put_object" else "GET", url.removeprefix(server.url))
    if call == "put_object":
        connection.putheader("Content-Length", str(SIZE))
    connection.endheaders()
    return connection


def has_stopped_listening(server: Server) -> bool:
    address = urlsplit(server.url)
    probe = http.client.HTTPConnection(f"{address.hostname}:{address.port}", timeout=5)
    with closing(probe):
        try:
            probe.connect()
        except ConnectionError:
            return True
    return False


def is_written(server: Server) -> bool:
    incoming: Path = server.data / "storage/incoming"
    return any(path.stat().st_size >= MIB for path in incoming.iterdir())


def test_a_slow_upload_is_finished_before_the_server_leaves(leaving: Server, s3: S3Client) -> None:
    bucket, content = fresh_bucket(s3), body(SIZE)
    with closing(begin(leaving, s3, "put_object", bucket)) as connection:
        connection.send(content[:HALF])
        until(lambda: is_written(leaving), "the first half to arrive", 10)

        leaving.terminate()
        until(lambda: has_stopped_listening(leaving), "the listener to close", 10)
        connection.send(content[HALF:])

        assert connection.getresponse().status == 200
    assert leaving.process.wait(STOP_SECONDS) == 0
    leaving.start()
    with s3_client(leaving) as later:
        assert later.get_object(Bucket=bucket, Key="film")["Body"].read() == content


def test_a_slow_download_is_finished_before_the_server_leaves(
    leaving: Server, s3: S3Client
) -> None:
    bucket, content = fresh_bucket(s3), body(SIZE * 4)
    s3.put_object(Bucket=bucket, Key="film", Body=content)
    with closing(begin(leaving, s3, "get_object", bucket)) as connection:
        answer: Any = connection.getresponse()
        first = answer.read(MIB)

        leaving.terminate()
        until(lambda: has_stopped_listening(leaving), "the listener to close", 10)

        assert first + answer.read() == content
    assert leaving.process.wait(STOP_SECONDS) == 0
