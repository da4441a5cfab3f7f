"""s3cmd, whose XML and listings are the old ones."""

import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.bodies import MIB, digest_of, file_of
from tests.e2e.clients import place_of, run
from tests.e2e.server import FIRST, Server

S3cmd = Callable[..., str]


@pytest.fixture
def s3cmd(http: Server, tmp_path: Path) -> S3cmd:
    address = urlsplit(http.url).netloc
    config = tmp_path / "s3cmd.conf"
    config.write_text(
        f"[default]\naccess_key = {FIRST.access}\nsecret_key = {FIRST.secret}\n"
        f"host_base = {address}\nhost_bucket = {address}\nuse_https = False\n"
        "multipart_chunk_size_mb = 5\nmax_retries = 1\n"
    )
    command = place_of("s3cmd") / "bin/s3cmd"

    def typed(*words: str | Path, code: int = 0) -> str:
        return run(command, "--config", config, "--no-progress", *words, code=code)

    return typed


@pytest.fixture
def bucket(s3cmd: S3cmd) -> str:
    name = f"s3://bucket-{uuid.uuid4().hex}"
    s3cmd("mb", name)
    return name


@pytest.mark.parametrize("size", [0, 1000, 12 * MIB])
def test_a_file_is_put_got_and_listed(s3cmd: S3cmd, bucket: str, tmp_path: Path, size: int) -> None:
    source, target = file_of(tmp_path / "source", size), tmp_path / "target"

    s3cmd("put", source, f"{bucket}/a b+ü")
    s3cmd("get", f"{bucket}/a b+ü", target)

    assert digest_of(target) == digest_of(source)
    assert s3cmd("ls", bucket).split(maxsplit=3)[2:] == [str(size), f"{bucket}/a b+ü\n"]


def test_a_folder_is_synchronised_both_ways(s3cmd: S3cmd, bucket: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    names = ["cat.jpg", "deep/er/dog.jpg"]
    for number, name in enumerate(names):
        file_of(source / name, 1000, number)
    target.mkdir()

    s3cmd("sync", f"{source}/", f"{bucket}/photos/")
    s3cmd("sync", f"{bucket}/photos/", f"{target}/")

    assert [digest_of(target / name) for name in names] == [
        digest_of(source / name) for name in names
    ]
    assert "upload:" not in s3cmd("sync", f"{source}/", f"{bucket}/photos/")


def test_an_object_is_copied_moved_described_and_deleted(
    s3cmd: S3cmd, bucket: str, tmp_path: Path
) -> None:
    s3cmd("put", file_of(tmp_path / "cat", 1000), f"{bucket}/cat")

    s3cmd("cp", f"{bucket}/cat", f"{bucket}/copy")
    s3cmd("mv", f"{bucket}/copy", f"{bucket}/moved")
    assert "File size: 1000" in s3cmd("info", f"{bucket}/moved")
    s3cmd("info", bucket)

    s3cmd("del", "--recursive", "--force", bucket)
    assert s3cmd("ls", bucket) == ""
    s3cmd("rb", bucket)
    assert bucket not in s3cmd("ls")
