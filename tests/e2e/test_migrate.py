"""A bucket moves to another storage under clients that never see an error."""

import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from mypy_boto3_s3 import S3Client

from backends.errors import BucketNotFound
from backends.storage.local import LocalStore
from tests.e2e.agreement import digests
from tests.e2e.bodies import KIB, MIB, body, digest
from tests.e2e.clients import refused, s3_client
from tests.e2e.commands import at, ccs, remote_of, told
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.grounds import named, on_azure, on_gcs, on_s3
from tests.e2e.history import History
from tests.e2e.server import Key, Server
from tests.e2e.waiting import until
from tests.e2e.writers import Crowd, put_sources
from tests.services.process import Service
from tests.services.servers import S3_ACCESS, S3_SECRET

Ground = Callable[[pytest.FixtureRequest], Mapping[str, str]]


def on_disk(_: pytest.FixtureRequest) -> Mapping[str, str]:
    """The default."""
    return {}


MOVES: Final[Mapping[str, tuple[Ground, Ground]]] = {
    "disk to s3": (on_disk, on_s3),
    "s3 to azure": (on_s3, on_azure),
    "disk to gcs": (on_disk, on_gcs),
}
OLD: Final = {f"old/{number:03}": 10 * KIB + number for number in range(60)}
LARGE: Final = {"old/large": 6 * MIB}
QUICK: Final = {"CCS_STATE__LEASE_SECONDS": "3", "CCS_STATE__RECOVERY_SECONDS": "0.5"}


def content_of(key: str) -> bytes:
    return body({**OLD, **LARGE}[key], seed=len(key))


class Reader:
    """Reads and lists what was there before, until the block ends."""

    def __init__(self, server: Server, bucket: str) -> None:
        self._server = server
        self._bucket = bucket
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.reads = 0

    def __enter__(self) -> "Reader":
        self._running = self._pool.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._running.result()

    def _run(self) -> None:
        chance = random.Random(1)
        with s3_client(self._server) as s3:
            while not self._stop.is_set():
                key = chance.choice(list(OLD))
                found = s3.get_object(Bucket=self._bucket, Key=key)
                assert found["Body"].read() == content_of(key)
                listed = s3.list_objects_v2(Bucket=self._bucket, Prefix="old/0", MaxKeys=1000)
                assert [one["Key"] for one in listed["Contents"]] == list(OLD)
                self.reads += 1


def filled(s3: S3Client) -> str:
    """A bucket with the old objects, and those that the crowd copies."""
    bucket = fresh_bucket(s3)
    with ThreadPoolExecutor(4) as pool:
        put = partial(s3.put_object, Bucket=bucket)
        done = [pool.submit(put, Key=key, Body=content_of(key)) for key in [*OLD, *LARGE]]
    assert all(one.result() for one in done)
    put_sources(s3, bucket)
    return bucket


def judge(server: Server, bucket: str, history: History) -> None:
    """Everything is as the clients believe, wherever one looks."""
    with s3_client(server) as s3:
        found = digests(s3, bucket, [*history.keys(), *OLD, *LARGE])
    for key, held in found.items():
        old = key in OLD or key in LARGE
        assert held in ({digest(content_of(key))} if old else history.possible(key)), key


def phase_of(server: Server, bucket: str) -> str:
    return str(remote_of(server).get("migrations", bucket)["phase"])


def done(server: Server, migration: Any) -> None:
    """Wait until the job of a migration is done, and all is well."""
    remote = remote_of(server)
    job = until(lambda: at_end(remote.get("jobs", migration["job"])), "the job", 60)
    assert (job["standing"], job["outcome"], job["findings"]) == ("done", "alike", {}), job


def at_end(job: Any) -> Any:
    return job if job["ended"] else None


@pytest.mark.parametrize("move", MOVES)
async def test_clients_see_no_error_while_their_bucket_moves(
    request: pytest.FixtureRequest, start: Start, move: str
) -> None:
    ground, other = MOVES[move]
    settings: Any = {**ground(request), **named(other(request)), **QUICK}
    server, history = start(workers=2, **settings), History()
    api = remote_of(server)
    with s3_client(server) as s3:
        bucket = filled(s3)
    with Crowd(server, bucket, history, 1) as crowd, Reader(server, bucket) as reader:
        until(lambda: history.acknowledged >= 20 or not crowd.is_at_work, "writes", 30)
        [begun] = api.post("migrations", body={"bucket": bucket, "target": "new"})["migrations"]
        done(server, begun)
        assert phase_of(server, bucket) == "copied"
        seen = (history.acknowledged, reader.reads)
        until(lambda: history.acknowledged > seen[0] + 20 or not crowd.is_at_work, "writes", 30)
        done(server, api.post("migrations", bucket, "cutover"))
        until(lambda: reader.reads > seen[1], "reads", 30)
    judge(server, bucket, history)
    assert phase_of(server, bucket) == "done"
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
    await require_empty(server, bucket, request, move)


async def require_empty(
    server: Server, bucket: str, request: pytest.FixtureRequest, move: str
) -> None:
    """The old storage has nothing of the bucket any more."""
    if move.startswith("disk"):
        store = LocalStore.open(server.data / "storage")
        with pytest.raises(BucketNotFound):
            await store.find_bucket(bucket)
        await store.close()
        return
    service: Service = request.getfixturevalue("versitygw")
    with s3_client(server, Key(S3_ACCESS, S3_SECRET), url=service.url) as s3, refused("404", 404):
        s3.head_bucket(Bucket=bucket)


def test_a_bucket_is_brought_back_and_nothing_of_meanwhile_is_lost(
    request: pytest.FixtureRequest, start: Start
) -> None:
    settings: Any = {**named(on_s3(request)), **QUICK}
    server, history = start(workers=2, **settings), History()
    api = remote_of(server)
    with s3_client(server) as s3:
        bucket = filled(s3)
    with Crowd(server, bucket, history, 2) as crowd, Reader(server, bucket):
        [begun] = api.post("migrations", body={"bucket": bucket, "target": "new"})["migrations"]
        done(server, begun)
        seen = history.acknowledged
        until(lambda: history.acknowledged > seen + 20 or not crowd.is_at_work, "writes", 30)
        assert ccs("migrate", "verify", bucket, "--deep", *at(server)).code == 0
        assert ccs("migrate", "rollback", bucket, *at(server)).code == 0
    judge(server, bucket, history)
    assert phase_of(server, bucket) == "returned"
    refusal = ccs("migrate", "cutover", bucket, *at(server))
    assert (refusal.code, refusal.errors) == (
        1,
        f"ccs: {bucket} was rolled back to default\n",
    )


def test_a_copy_that_was_killed_goes_on_where_it_was(start: Start, tmp_path: Path) -> None:
    settings: Any = {"CCS_STORAGES__NEW__PATH": str(tmp_path / "new"), **QUICK}
    server = start(**settings)
    with s3_client(server) as s3:
        bucket = filled(s3)
        for number in range(100):
            s3.put_object(Bucket=bucket, Key=f"more/{number:03}", Body=b"more")
    rate = ("--objects-per-second", "40", "--detach")
    told(server, "migrate", "start", bucket, "--to", "new", *rate)
    refusal = ccs("migrate", "cutover", bucket, *at(server))
    assert refusal.code == 1
    assert "is not yet all in new: wait until its job" in refusal.errors
    job = remote_of(server).get("migrations", bucket)["job"]
    until(lambda: remote_of(server).get("jobs", job)["phase"] == "copy", "the copy", 20)

    server.kill()
    server.start()

    until(lambda: phase_of(server, bucket) == "copied", "the copy to end", 60)
    assert " copied " in told(server, "migrate", "status", bucket)
    assert ccs("migrate", "cutover", bucket, *at(server)).code == 0
    assert " done " in told(server, "migrate", "status")
    judge(server, bucket, History())


def test_a_bucket_of_a_plain_account_is_served_at_once_and_moves(
    request: pytest.FixtureRequest, start: Start
) -> None:
    service: Service = request.getfixturevalue("versitygw")
    settings: Any = {**named(on_s3(request)), **QUICK}
    server = start(**settings)
    api = remote_of(server)
    with (
        s3_client(server, Key(S3_ACCESS, S3_SECRET), url=service.url) as plain,
        s3_client(server) as s3,
    ):
        bucket = fresh_bucket(plain)
        for key in [*OLD, *LARGE]:
            plain.put_object(Bucket=bucket, Key=key, Body=content_of(key), Metadata={"a": key})
        body = {"bucket": bucket, "source": "new", "target": "default"}
        [begun] = api.post("migrations", body=body)["migrations"]

        last = list(OLD)[-1]
        assert s3.get_object(Bucket=bucket, Key=last)["Body"].read() == content_of(last)
        assert s3.head_object(Bucket=bucket, Key="old/000")["Metadata"] == {"a": "old/000"}
        s3.put_object(Bucket=bucket, Key="old/001", Body=b"new")
        s3.delete_object(Bucket=bucket, Key="old/002")
        done(server, begun)
        assert phase_of(server, bucket) == "copied"
        done(server, api.post("migrations", bucket, "cutover"))
        assert phase_of(server, bucket) == "done"

        expected = {key: digest(content_of(key)) for key in [*OLD, *LARGE]}
        expected |= {"old/001": digest(b"new"), "old/002": ""}
        assert digests(s3, bucket, list(expected)) == expected
        there = [one["Key"] for one in plain.list_objects_v2(Bucket=bucket)["Contents"]]
        assert there == [key for key in [*OLD, *LARGE] if key != "old/002"]
