"""rclone as Debian ships it."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.bodies import MIB, digest_of, file_of
from tests.e2e.clients import REGION, place_of, run
from tests.e2e.server import FIRST, Server

Rclone = Callable[..., str]
SIZES = {"a.txt": 5, "deep/er/b ü+%.bin": 70_000, "film": 12 * MIB, "empty": 0}


@pytest.fixture
def rclone(http: Server, tmp_path: Path) -> Rclone:
    command = place_of("rclone") / "bin/rclone"
    options = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ACCESS_KEY_ID": FIRST.access,
        "SECRET_ACCESS_KEY": FIRST.secret,
        "REGION": REGION,
        "ENDPOINT": http.url,
        "CHUNK_SIZE": "5Mi",
        "UPLOAD_CUTOFF": "8Mi",
    }
    environment = {f"RCLONE_CONFIG_CCS_{name}": value for name, value in options.items()}
    environment |= {"RCLONE_CONFIG": str(tmp_path / "none.conf"), "RCLONE_RETRIES": "1"}

    def typed(*words: str | Path, code: int = 0) -> str:
        return run(command, *words, environment=environment, code=code)

    return typed


@pytest.fixture
def bucket(rclone: Rclone) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    rclone("mkdir", f"ccs:{name}")
    return name


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, size in SIZES.items():
        file_of(tmp_path / "source" / name, size)
    return tmp_path / "source"


def test_a_folder_is_copied_checked_listed_and_brought_back(
    rclone: Rclone, bucket: str, source: Path, tmp_path: Path
) -> None:
    rclone("copy", source, f"ccs:{bucket}/photos")

    rclone("check", source, f"ccs:{bucket}/photos", "--download")
    rclone("check", source, f"ccs:{bucket}/photos")
    options = ("--recursive", "--files-only", "--format=sp", "--separator= ")
    listed = rclone("lsf", *options, f"ccs:{bucket}/photos").splitlines()
    sizes = [line.split(maxsplit=1) for line in listed]
    assert {name: int(size) for size, name in sizes} == SIZES

    rclone("copy", f"ccs:{bucket}/photos", tmp_path / "back")
    for name in SIZES:
        assert digest_of(tmp_path / "back" / name) == digest_of(source / name)


def test_a_sync_removes_what_the_source_lost(rclone: Rclone, bucket: str, source: Path) -> None:
    rclone("sync", source, f"ccs:{bucket}")
    (source / "a.txt").unlink()
    file_of(source / "film", 9 * MIB, seed=1)

    rclone("sync", source, f"ccs:{bucket}")

    rclone("check", source, f"ccs:{bucket}")
    assert "a.txt" not in rclone("lsl", f"ccs:{bucket}")


def test_everything_is_deleted_and_the_bucket_with_it(
    rclone: Rclone, bucket: str, source: Path
) -> None:
    rclone("copy", source, f"ccs:{bucket}")

    rclone("delete", f"ccs:{bucket}/deep")
    assert "deep" not in rclone("lsl", f"ccs:{bucket}")
    rclone("purge", f"ccs:{bucket}")

    assert bucket not in rclone("lsd", "ccs:")


def test_an_object_is_moved_and_streamed(rclone: Rclone, bucket: str, source: Path) -> None:
    (source / "a.txt").write_text("meow")
    rclone("copyto", source / "a.txt", f"ccs:{bucket}/a")

    rclone("moveto", f"ccs:{bucket}/a", f"ccs:{bucket}/b c+")

    assert rclone("cat", f"ccs:{bucket}/b c+") == "meow"
    assert rclone("lsf", f"ccs:{bucket}").splitlines() == ["b c+"]
