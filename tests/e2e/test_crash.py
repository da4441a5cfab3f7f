"""Promise 4: a 200 outlives kill -9 at any point, and a restart finds everything in agreement.

CCS_CRASH_ROUNDS makes it longer by hand, CCS_CRASH_SEED plays a run again.
"""

import logging
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.agreement import column, digests, unsettled
from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.history import History
from tests.e2e.server import Server
from tests.e2e.waiting import until
from tests.e2e.writers import Crowd, put_sources

ROUNDS: Final = int(os.environ.get("CCS_CRASH_ROUNDS", "8"))
SEED: Final = int(os.environ.get("CCS_CRASH_SEED", str(random.SystemRandom().getrandbits(32))))
WRITES_A_ROUND: Final = 63
LONGEST_FUSE_SECONDS: Final = 0.1
SETTLE_SECONDS: Final = 30
QUICK: Final = {"CCS_STATE__LEASE_SECONDS": "2", "CCS_STATE__RECOVERY_SECONDS": "0.3"}


@pytest.mark.timeout(120 + 60 * ROUNDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_no_acknowledged_write_is_lost_to_kill_minus_nine(start: Start, workers: int) -> None:
    logging.warning("CCS_CRASH_SEED=%s", SEED)
    chance, history = random.Random(SEED), History()
    server = start(workers=workers, **QUICK)
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        put_sources(s3, bucket)

    for number in range(ROUNDS):
        fuse = chance.random() * LONGEST_FUSE_SECONDS
        kill_at_work(server, Crowd(server, bucket, history, SEED + number), history, fuse)
        server.start()
        with s3_client(server) as s3:
            judge(s3, bucket, history)

    assert history.acknowledged >= ROUNDS * WRITES_A_ROUND
    with s3_client(server) as s3:
        settle(s3, bucket, server)
        judge(s3, bucket, history)


def kill_at_work(server: Server, crowd: Crowd, history: History, fuse: float) -> None:
    """Let the crowd do its share of writes, light the fuse, kill."""
    enough = history.acknowledged + WRITES_A_ROUND
    with crowd:
        until(
            lambda: history.acknowledged >= enough or not crowd.is_at_work,
            f"{WRITES_A_ROUND} writes",
            60,
        )
        explosion = time.monotonic() + fuse
        until(lambda: time.monotonic() >= explosion, "the fuse", 1)
        server.kill()


def judge(s3: S3Client, bucket: str, history: History) -> None:
    """Every key holds what it may hold, wherever one looks."""
    found = digests(s3, bucket, history.keys())
    wrong = {key: held for key, held in found.items() if held not in history.possible(key)}
    assert not wrong


def settle(s3: S3Client, bucket: str, server: Server) -> None:
    """End the uploads that crashes cut off; then nothing may be left over anywhere."""
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    wait_for(lambda: unsettled(server.data))
    assert column(server.data / "storage/catalog.db", "SELECT token FROM parts") == set()


def wait_for(leftovers: Callable[[], dict[str, object]]) -> None:
    """Wait until nothing is left over; otherwise fail with what is."""
    try:
        until(lambda: not leftovers(), "recovery", SETTLE_SECONDS)
    except AssertionError:
        assert leftovers() == {}


def test_a_worker_that_is_killed_is_replaced_and_no_answer_was_a_lie(start: Start) -> None:
    server, history = start(workers=2, **QUICK), History()
    first = server.workers_at_work()
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        put_sources(s3, bucket)
        with Crowd(server, bucket, history, SEED) as crowd:
            until(lambda: history.acknowledged >= 30 or not crowd.is_at_work, "30 writes", 60)
            os.kill(max(first), signal.SIGKILL)
        until(lambda: server.workers_at_work() - first, "a new worker", 10)

    with s3_client(server) as s3:
        judge(s3, bucket, history)
        settle(s3, bucket, server)
    assert server.stop() == 0


def test_a_server_told_to_leave_while_it_replaces_a_worker_leaves(start: Start) -> None:
    server = start(workers=2)

    os.kill(max(server.workers_at_work()), signal.SIGKILL)
    until(lambda: "worker died" in server.log.read_text(), "the supervisor to notice", 10)

    assert server.stop() == 0, server.log.read_text()[-2000:]
