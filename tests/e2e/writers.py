"""Clients that write at random and note what they were told."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from botocore.exceptions import BotoCoreError
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import KIB, MIB, body, digest
from tests.e2e.clients import s3_client
from tests.e2e.history import ABSENT, History, Write
from tests.e2e.server import Server

CLIENTS: Final = 6
KEYS: Final = [f"folder/{number:02}" for number in range(24)]
SOURCES: Final = {"source/small": 3 * KIB, "source/large": 2 * MIB}
PART: Final = 5 * MIB


class Writer:
    """One client, each of whose writes has a body of its own."""

    def __init__(self, s3: S3Client, bucket: str, history: History, seed: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._history = history
        self._random = random.Random(seed)

    def write(self) -> None:
        """One write of a random kind to a random key. BotoCoreError if it is not answered."""
        kinds = [self.small, self.large, self.delete, self.multipart, self.copy]
        [kind] = self._random.choices(kinds, weights=[40, 20, 15, 5, 20])
        kind(self._random.choice(KEYS))

    def small(self, key: str) -> None:
        self._put(key, self._random.randrange(6 * KIB))

    def large(self, key: str) -> None:
        self._put(key, self._random.randrange(64 * KIB, 3 * MIB))

    def delete(self, key: str) -> None:
        self._noted(key, ABSENT, lambda: self._s3.delete_object(Bucket=self._bucket, Key=key))

    def copy(self, key: str) -> None:
        name = self._random.choice(list(SOURCES))
        source: Any = {"Bucket": self._bucket, "Key": name}
        self._noted(
            key,
            digest(content_of(name)),
            lambda: self._s3.copy_object(Bucket=self._bucket, Key=key, CopySource=source),
        )

    def multipart(self, key: str) -> None:
        contents = [self._body(PART), self._body(self._random.randrange(64 * KIB))]
        upload = self._s3.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        asked: dict[str, Any] = {"Bucket": self._bucket, "Key": key, "UploadId": upload}
        parts: Any = {
            "Parts": [
                {
                    "PartNumber": number,
                    "ETag": self._s3.upload_part(**asked, PartNumber=number, Body=content)["ETag"],
                }
                for number, content in enumerate(contents, 1)
            ]
        }
        self._noted(
            key,
            digest(b"".join(contents)),
            lambda: self._s3.complete_multipart_upload(**asked, MultipartUpload=parts),
        )

    def _put(self, key: str, size: int) -> None:
        content = self._body(size)
        self._noted(
            key,
            digest(content),
            lambda: self._s3.put_object(Bucket=self._bucket, Key=key, Body=content),
        )

    def _body(self, size: int) -> bytes:
        return body(size, self._random.getrandbits(64))

    def _noted(self, key: str, outcome: str, act: Callable[[], Any]) -> None:
        start = time.monotonic()
        is_acknowledged = False
        try:
            act()
            is_acknowledged = True
        finally:
            self._history.add(Write(key, outcome, start, time.monotonic(), is_acknowledged))


def content_of(source: str) -> bytes:
    return body(SOURCES[source], seed=len(source))


def put_sources(s3: S3Client, bucket: str) -> None:
    """The objects that copies are made of."""
    for name in SOURCES:
        s3.put_object(Bucket=bucket, Key=name, Body=content_of(name))


class Crowd:
    """Writers that write all at once until the block ends or the server is gone."""

    def __init__(self, server: Server, bucket: str, history: History, seed: int) -> None:
        self._server = server
        self._bucket = bucket
        self._history = history
        self._seeds = range(seed * CLIENTS, (seed + 1) * CLIENTS)
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._running: list[Future[None]] = []

    def __enter__(self) -> "Crowd":
        self._running = [self._pool.submit(self._run, seed) for seed in self._seeds]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for running in self._running:
            running.result()

    @property
    def is_at_work(self) -> bool:
        return not any(running.done() for running in self._running)

    def _run(self, seed: int) -> None:
        with s3_client(self._server, read_timeout=30) as s3, suppress(BotoCoreError):
            writer = Writer(s3, self._bucket, self._history, seed)
            while not self._stop.is_set():
                writer.write()
