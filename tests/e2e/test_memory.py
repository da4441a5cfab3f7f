"""Nothing whole in memory: large bodies both ways at once, and the worker stays small."""

import http.client
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import KIB, MIB, body
from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.server import Server

CLIENTS = 8
BLOCK = 256 * KIB
BLOCKS = 256 * MIB // BLOCK
LIMIT = 200 * MIB


class Streamer:
    """A client that holds one block at a time, on connections of its own."""

    def __init__(self, server: Server, s3: S3Client, bucket: str) -> None:
        self._server = server
        self._s3 = s3
        self._bucket = bucket
        self._barrier = threading.Barrier(CLIENTS)

    def upload(self, number: int) -> int:
        """Send a body that is never whole anywhere; its CRC-32."""
        with closing(self._connect()) as connection:
            connection.request(
                "PUT",
                self._path("put_object", number),
                body=blocks_of(number),
                headers={"Content-Length": str(BLOCK * BLOCKS)},
            )
            assert connection.getresponse().status == 200
        return crc_of(blocks_of(number))

    def download(self, number: int) -> int:
        """Stand still after the first block until all others do; the CRC-32 of what came."""
        with closing(self._connect()) as connection:
            connection.request("GET", self._path("get_object", number))
            answer: Any = connection.getresponse()
            first: bytes = answer.read(BLOCK)
            self._barrier.wait(30)
            return crc_of(iter(lambda: answer.read(BLOCK), b""), zlib.crc32(first))

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self._server.url).netloc, timeout=60)

    def _path(self, call: str, number: int) -> str:
        asked = {"Bucket": self._bucket, "Key": f"film-{number}"}
        return self._s3.generate_presigned_url(call, Params=asked).removeprefix(self._server.url)


def blocks_of(number: int) -> Iterator[bytes]:
    block = body(BLOCK, number)
    return (block for _ in range(BLOCKS))


def crc_of(blocks: Iterator[bytes], start: int = 0) -> int:
    for block in blocks:
        start = zlib.crc32(block, start)
    return start


def all_at_once(act: Callable[[int], int]) -> list[int]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(act, range(CLIENTS)))


@pytest.mark.timeout(300)
def test_a_worker_stays_small_under_eight_large_bodies_each_way(start: Start) -> None:
    server = start()
    with s3_client(server, signature_version="s3v4") as s3:
        streamer = Streamer(server, s3, fresh_bucket(s3))

        sent = all_at_once(streamer.upload)
        received = all_at_once(streamer.download)

    assert received == sent
    [peak] = server.resident(peak=True).values()
    assert peak < LIMIT, f"{peak / MIB:.0f} MiB"
