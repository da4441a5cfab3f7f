"""Clients: boto3 in this process, and tools in environments of their own."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from tests.e2e.server import FIRST, Key
from tests.services.places import CLIENTS, place_of

__all__ = ["CLIENTS", "place_of"]

TOOL_SECONDS: Final = 110
REGION: Final = "us-east-1"
SESSION: Final = boto3.session.Session()
MAKING: Final = threading.Lock()  # a session makes one client at a time


class Reachable(Protocol):
    """What a client can be pointed at."""

    @property
    def url(self) -> str: ...

    @property
    def trust(self) -> Path | None:
        """The authority to trust; None over plain http."""


@contextmanager
def s3_client(
    server: Reachable, key: Key = FIRST, *, url: str = "", **config: Any
) -> Iterator[S3Client]:
    """A boto3 client that never retries: what the server answers first is what a test sees."""
    settings: dict[str, Any] = {
        "retries": {"total_max_attempts": 1},
        "max_pool_connections": 32,
        "s3": {"addressing_style": "path"},
    }
    with MAKING:
        client = SESSION.client(
            "s3",
            endpoint_url=url or server.url,
            region_name=REGION,
            aws_access_key_id=key.access,
            aws_secret_access_key=key.secret,
            verify=str(server.trust) if server.trust else None,
            config=Config(**(settings | config)),
        )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def refused(code: str, status: int) -> Iterator[None]:
    """Pass if the block is refused with just this S3 error."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)


def run(*command: str | Path, environment: dict[str, str] | None = None, code: int = 0) -> str:
    """What a tool writes to its standard output; AssertionError for another exit code."""
    done = subprocess.run(
        [str(word) for word in command],
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
