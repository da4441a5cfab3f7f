"""Writes that wait on local disk while their storage is down, and reach it when it is back."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import refused, s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.server import COMMAND, ROOT, Key, Server, environment
from tests.e2e.waiting import until
from tests.services import servers
from tests.services.process import Service
from tests.services.servers import S3_ACCESS, S3_SECRET

WAIT = 60
LARGE = body(3 * MIB, 1)
PARTS = (body(5 * MIB, 2), body(1000, 3))
WAITING = {"small": b"small", "large": LARGE, "kept": b"new", "joined": b"".join(PARTS)}


@pytest.fixture
def below(tmp_path: Path) -> Iterator[Service]:
    """The storage, which a test may kill and start."""
    service = servers.versitygw(tmp_path / "versitygw")
    service.start()
    yield service
    service.kill()


def settings_over(below: Service, state: str, **more: str) -> dict[str, Any]:
    return {
        "CCS_STATE__KIND": state,
        "CCS_STORAGE__KIND": "s3",
        "CCS_STORAGE__S3__ENDPOINT": below.url,
        "CCS_STORAGE__S3__ACCESS_KEY": S3_ACCESS,
        "CCS_STORAGE__S3__SECRET_KEY": S3_SECRET,
        "CCS_STORAGE__LIMITS__PAUSE_SECONDS": "0.2",
        "CCS_STORAGE__BUFFER__MODE": "unsteady",
        "CCS_STORAGE__BUFFER__RETRY_SECONDS": "0.1",
        "CCS_STORAGE__BUFFER__LONGEST_RETRY_SECONDS": "1",
        **more,
    }


def told(server: Server) -> dict[str, Any]:
    """What the operators' port says of the buffer."""
    with urllib.request.urlopen(f"{server.operations}/buffer") as answer:
        found: dict[str, Any] = json.load(answer)["default"]
    return found


def listed(server: Server) -> dict[str, Any]:
    """What the command says, beside the server or without one."""
    done = subprocess.run(
        [*COMMAND, "buffer", "list", "--json", "--data", str(server.data)],
        cwd=ROOT,
        env=environment(server.settings),
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)["default"]
    return found


def get(s3: S3Client, bucket: str, key: str) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def write_all(s3: S3Client, bucket: str) -> None:
    """Each kind of write: small, long, an overwrite, a delete, an upload in parts."""
    for key in ("small", "large", "kept"):
        s3.put_object(Bucket=bucket, Key=key, Body=WAITING[key])
    s3.delete_object(Bucket=bucket, Key="gone")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="joined")["UploadId"]
    parts = []
    for number, content in enumerate(PARTS, start=1):
        part = s3.upload_part(
            Bucket=bucket, Key="joined", UploadId=upload, PartNumber=number, Body=content
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    named: Any = {"Parts": parts}
    s3.complete_multipart_upload(
        Bucket=bucket, Key="joined", UploadId=upload, MultipartUpload=named
    )


def require_all(s3: S3Client, bucket: str) -> None:
    """All that was written is there, and nothing else."""
    for key, content in WAITING.items():
        assert get(s3, bucket, key) == content
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="gone")


@pytest.mark.parametrize("state", ["sqlite", "none"])
def test_writes_wait_for_a_storage_that_is_down_and_reach_it(
    start: Start, below: Service, state: str
) -> None:
    server = start(**settings_over(below, state))
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        for key in ("kept", "gone"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"old")
        assert told(server)["entries"] == 0
        below.kill()

        with refused("ServiceUnavailable", 503):
            s3.put_object(Bucket=bucket, Key="large", Body=LARGE)
        write_all(s3, bucket)
        require_all(s3, bucket)
        if state == "sqlite":
            keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
            assert keys == sorted(WAITING)
        else:
            with refused("ServiceUnavailable", 503):
                s3.list_objects_v2(Bucket=bucket)
        tags = {key: s3.head_object(Bucket=bucket, Key=key)["ETag"] for key in WAITING}
        waiting = {(one["key"], one["kind"]) for one in told(server)["waiting"]}
        assert waiting == {("gone", "delete"), *((key, "put") for key in WAITING)}
        with urllib.request.urlopen(f"{server.operations}/metrics") as answer:
            metrics = answer.read().decode()
        assert 'ccs_buffer_oldest_seconds{storage="default"}' in metrics

    server.kill()
    assert {one["key"] for one in listed(server)["waiting"]} == {"gone", *WAITING}
    server.start()
    with s3_client(server) as s3:
        require_all(s3, bucket)
        below.start()

        until(lambda: told(server)["entries"] == 0, "all to be stored", WAIT)
        require_all(s3, bucket)
        with s3_client(server, Key(S3_ACCESS, S3_SECRET), url=below.url) as direct:
            require_all(direct, bucket)
        assert tags == {key: s3.head_object(Bucket=bucket, Key=key)["ETag"] for key in WAITING}
        for key in (*WAITING, "gone"):
            s3.delete_object(Bucket=bucket, Key=key)
        s3.delete_bucket(Bucket=bucket)


def test_a_full_buffer_asks_to_slow_down(start: Start, below: Service) -> None:
    server = start(**settings_over(below, "sqlite", CCS_STORAGE__BUFFER__MAX_BYTES="100000"))
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        below.kill()
        s3.put_object(Bucket=bucket, Key="first", Body=bytes(60_000))

        with refused("SlowDown", 503):
            s3.put_object(Bucket=bucket, Key="second", Body=bytes(60_000))

        assert get(s3, bucket, "first") == bytes(60_000)
        below.start()
        until(lambda: told(server)["entries"] == 0, "the first to be stored", WAIT)
        s3.put_object(Bucket=bucket, Key="second", Body=bytes(60_000))


@pytest.mark.parametrize("state", ["sqlite", "none"])
def test_two_processes_write_back_through_one_buffer_which_can_be_turned_off(
    start: Start, below: Service, state: str
) -> None:
    settings = settings_over(below, state, CCS_STORAGE__BUFFER__MODE="always")
    server = start(workers=2, **settings)
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        for round_ in range(3):
            for key in "abcdef":
                s3.put_object(Bucket=bucket, Key=key, Body=f"{key}{round_}".encode())
                assert get(s3, bucket, key) == f"{key}{round_}".encode()
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [*"abcdef"]

        until(lambda: told(server)["entries"] == 0, "all to be stored", WAIT)
        with s3_client(server, Key(S3_ACCESS, S3_SECRET), url=below.url) as direct:
            for key in "abcdef":
                assert get(direct, bucket, key) == get(s3, bucket, key) == f"{key}2".encode()

    server.stop()
    server.settings = settings_over(below, state, CCS_STORAGE__BUFFER__MODE="off")
    server.start()
    with s3_client(server) as s3:
        for key in "abcdef":
            assert get(s3, bucket, key) == f"{key}2".encode()
