"""The AWS CLI v2, as a person types it, over http and https."""

import json
import os
import ssl
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.bodies import MIB, digest_of, file_of
from tests.e2e.clients import REGION, place_of, run
from tests.e2e.server import FIRST, Server

CHANGED = 1_700_000_000
Aws = Callable[..., str]


@pytest.fixture
def aws(server: Server) -> Aws:
    """Runs `aws` with these words, and answers what it printed."""
    command = place_of("aws") / "bin/aws"
    environment = {
        "AWS_ACCESS_KEY_ID": FIRST.access,
        "AWS_SECRET_ACCESS_KEY": FIRST.secret,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
    }
    if server.trust:
        environment["AWS_CA_BUNDLE"] = str(server.trust)

    def typed(*words: str | Path, code: int = 0) -> str:
        return run(command, *words, environment=environment, code=code)

    return typed


@pytest.fixture
def bucket(aws: Aws) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    aws("s3", "mb", f"s3://{name}")
    return name


def test_a_file_of_100_mb_goes_up_and_comes_down(aws: Aws, bucket: str, tmp_path: Path) -> None:
    source, target = file_of(tmp_path / "film", 100 * MIB), tmp_path / "back"

    aws("s3", "cp", source, f"s3://{bucket}/film", "--no-progress")
    aws("s3", "cp", f"s3://{bucket}/film", target, "--no-progress")

    assert digest_of(target) == digest_of(source)


def test_a_folder_is_synchronised_listed_and_removed(aws: Aws, bucket: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    names = ["cat.jpg", "deep/er/ü+ %.txt", "empty"]
    for number, name in enumerate(names):
        file_of(source / name, 1000 * (2 - number), number)
        # Storages tell whole seconds: what changed in the second of its upload looks newer.
        os.utime(source / name, (CHANGED, CHANGED))

    assert aws("s3", "sync", source, f"s3://{bucket}/photos", "--no-progress").count("upload:") == 3
    assert aws("s3", "sync", source, f"s3://{bucket}/photos", "--no-progress") == ""
    aws("s3", "sync", f"s3://{bucket}/photos", target, "--no-progress")

    assert [digest_of(target / name) for name in names] == [
        digest_of(source / name) for name in names
    ]
    assert "PRE photos/" in aws("s3", "ls", f"s3://{bucket}")
    listed = aws("s3", "ls", f"s3://{bucket}/photos/", "--recursive", "--summarize")
    assert "Total Objects: 3" in listed

    (source / "cat.jpg").unlink()
    aws("s3", "sync", source, f"s3://{bucket}/photos", "--delete", "--no-progress")
    assert "cat.jpg" not in aws("s3", "ls", f"s3://{bucket}", "--recursive")

    aws("s3", "rm", f"s3://{bucket}", "--recursive")
    aws("s3", "rb", f"s3://{bucket}")
    assert bucket not in aws("s3", "ls")


def test_a_bucket_that_is_not_empty_stays(aws: Aws, bucket: str, tmp_path: Path) -> None:
    aws("s3", "cp", file_of(tmp_path / "cat", 10), f"s3://{bucket}/cat")

    aws("s3", "rb", f"s3://{bucket}", code=1)

    aws("s3", "rb", f"s3://{bucket}", "--force")


def test_an_object_is_moved_within_the_store(aws: Aws, bucket: str, tmp_path: Path) -> None:
    aws("s3", "cp", file_of(tmp_path / "film", 20 * MIB), f"s3://{bucket}/a", "--no-progress")

    aws("s3", "mv", f"s3://{bucket}/a", f"s3://{bucket}/b", "--no-progress")

    listed = aws("s3", "ls", f"s3://{bucket}", "--recursive").split()
    assert listed[-1] == "b"
    assert listed.count("a") == 0


def test_the_plain_calls_answer_json(aws: Aws, bucket: str, tmp_path: Path) -> None:
    source, target = file_of(tmp_path / "cat", 1000), tmp_path / "back"
    asked = ("--bucket", bucket, "--key", "cat")

    put = json.loads(aws("s3api", "put-object", *asked, "--body", source, "--metadata", "name=Tom"))
    head = json.loads(aws("s3api", "head-object", *asked, "--checksum-mode", "ENABLED"))
    got = json.loads(aws("s3api", "get-object", *asked, "--range", "bytes=10-19", target))

    assert (head["ETag"], head["Metadata"]) == (put["ETag"], {"name": "Tom"})
    assert head["ChecksumCRC64NVME"] == put["ChecksumCRC64NVME"]
    assert got["ContentRange"] == "bytes 10-19/1000"
    assert target.read_bytes() == source.read_bytes()[10:20]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_checksum_the_cli_counts_is_kept(
    aws: Aws, bucket: str, tmp_path: Path, algorithm: str
) -> None:
    source = file_of(tmp_path / "cat", 1000)
    asked = ("--bucket", bucket, "--key", "cat")

    put = json.loads(
        aws("s3api", "put-object", *asked, "--body", source, "--checksum-algorithm", algorithm)
    )

    head = json.loads(aws("s3api", "head-object", *asked, "--checksum-mode", "ENABLED"))
    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]


def test_a_presigned_url_downloads(aws: Aws, server: Server, bucket: str, tmp_path: Path) -> None:
    source = file_of(tmp_path / "cat", 1000)
    aws("s3", "cp", source, f"s3://{bucket}/a b+ü", "--no-progress")

    url = aws("s3", "presign", f"s3://{bucket}/a b+ü", "--expires-in", "60").strip()

    trust = ssl.create_default_context(cafile=server.trust) if server.trust else None
    with urllib.request.urlopen(url, timeout=30, context=trust) as got:
        assert got.read() == source.read_bytes()
