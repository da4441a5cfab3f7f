"""minio-py, s3fs and pyarrow: each runs its program of tests/clients in its own environment."""

import uuid
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.clients import CLIENTS, place_of, run
from tests.e2e.server import FIRST, Server


def play(client: str, *arguments: str) -> None:
    bucket = f"bucket-{uuid.uuid4().hex}"
    place, rest = arguments[0], arguments[1:]
    program = CLIENTS / f"{client}_program.py"
    run(place_of(client) / "bin/python", program, place, *FIRST, bucket, *rest)


def test_minio_py_puts_lists_composes_and_removes(http: Server, tmp_path: Path) -> None:
    play("minio", urlsplit(http.url).netloc, str(tmp_path))


def test_s3fs_writes_reads_finds_and_removes(http: Server) -> None:
    play("s3fs", http.url)


def test_pyarrow_writes_and_reads_parquet(http: Server) -> None:
    play("pyarrow", urlsplit(http.url).netloc)
