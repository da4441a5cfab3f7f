"""A disk that is full or read-only: a clear error, and nothing lost."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.bodies import KIB, MIB, body
from tests.e2e.clients import refused, s3_client
from tests.e2e.server import COMMAND, ROOT, Server, environment
from tests.e2e.waiting import until


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own at the folder; skips where this user may not mount one."""
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"this user cannot mount a disk: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Server]:
    """A server on a disk of 24 MiB."""
    with mounted(tmp_path / "disk", "size=24m") as disk:
        server = Server(disk / "data")
        server.start()
        yield server
        server.kill()


def test_a_full_disk_refuses_what_it_cannot_hold_and_keeps_the_rest(small: Server) -> None:
    segments = small.data / "storage/segments"
    kept = body(4 * MIB)
    with s3_client(small) as s3:
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="kept", Body=kept)
        s3.put_object(Bucket="photos", Key="large", Body=body(8 * MIB))

        for key in ("new", "kept"):
            with refused("StorageFull", 507):
                s3.put_object(Bucket="photos", Key=key, Body=body(16 * MIB))

        listed = s3.list_objects_v2(Bucket="photos")["Contents"]
        assert [entry["Key"] for entry in listed] == ["kept", "large"]
        assert s3.get_object(Bucket="photos", Key="kept")["Body"].read() == kept
        s3.delete_object(Bucket="photos", Key="large")
        until(lambda: len(list(segments.glob("*/*"))) == 1, "the bytes to be dropped", 10)
        s3.put_object(Bucket="photos", Key="new", Body=body(64 * KIB))
        assert s3.head_object(Bucket="photos", Key="new")["ContentLength"] == 64 * KIB


def test_a_read_only_disk_is_said_in_one_line(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m,ro") as disk:
        refusal = subprocess.run(
            [*COMMAND, "serve", "--port", "0", "--data", str(disk / "data")],
            cwd=ROOT,
            env=environment({}),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert refusal.returncode == 1
    assert "Read-only file system" in refusal.stderr
    assert len(refusal.stderr.strip().splitlines()) == 1
