"""Servers that a benchmark starts for itself, on this machine: they end with it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.signing import Credentials

HOST: Final = "127.0.0.1"
KEY: Final = Credentials("benchaccess", "benchsecretkey")
START_SECONDS: Final = 30.0
PAUSE: Final = 0.05
FOREIGN: Final = ("CCS_", "VGW_", "ROOT_", "AWS_")  # settings that are not of the benchmark


class Command(NamedTuple):
    """What starts a server that listens on `port`."""

    words: Sequence[str]
    environment: Mapping[str, str]
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def versitygw(program: Path, folder: Path, *backend: str) -> Command:
    """versitygw over the backend that the words name; connections stay open, as clients expect."""
    port = free_port()
    folder.mkdir(parents=True)
    listen = ["--quiet", "--keep-alive", "--port", f"{HOST}:{port}", "--region", KEY.region]
    words = [str(program), *listen, "--iam-dir", str(folder), *backend]
    keys = {"ROOT_ACCESS_KEY": KEY.access_key, "ROOT_SECRET_KEY": KEY.secret_key}
    return Command(words, keys, port)


def posix(program: Path, folder: Path) -> Command:
    """versitygw over files."""
    places = [folder / "sidecar", folder / "data"]
    for place in places:
        place.mkdir(parents=True)
    return versitygw(program, folder / "iam", "posix", "--sidecar", *map(str, places))


def proxy(program: Path, folder: Path, storage: Command) -> Command:
    """versitygw as a proxy of another S3 server; checksums of its own need https, so without."""
    keys = ["--access", KEY.access_key, "--secret", KEY.secret_key, "--use-path-style"]
    plain = ["--disable-checksum", "--disable-data-integrity-check"]
    return versitygw(program, folder, "s3", "--endpoint", storage.url, *keys, *plain)


def ccs(folder: Path, storage: Command, *, state: str, workers: int) -> Command:
    """Our gateway over another S3 server."""
    settings = {
        "STATE__KIND": state,
        "STORAGE__KIND": "s3",
        "STORAGE__S3__ENDPOINT": storage.url,
        "STORAGE__S3__REGION": KEY.region,
        "STORAGE__S3__ACCESS_KEY": KEY.access_key,
        "STORAGE__S3__SECRET_KEY": KEY.secret_key,
        "SERVER__WORKERS": str(workers),
    }
    return gateway(folder, settings)


def gateway(folder: Path, chosen: Mapping[str, str]) -> Command:
    """Our gateway with the chosen settings, named as in the environment, but for CCS_."""
    port = free_port()
    settings = {
        "ACCESS_KEY": KEY.access_key,
        "SECRET_KEY": KEY.secret_key,
        "SERVER__OPERATIONS_PORT": "0",
        "ADMIN__PORT": "0",
        **chosen,
    }
    words = [sys.executable, "-m", "s3proxy.cli", "serve", "--port", str(port)]
    environment = {f"CCS_{name}": value for name, value in settings.items()}
    return Command([*words, "--data", str(folder)], environment, port)


@contextlib.contextmanager
def running(command: Command, log: Path) -> Iterator[None]:
    """The server, answering, while the block runs. RuntimeError with its log where it is not."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command.words,
            env=kept | dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        wait_for(process, command.port, log)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the port answers."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(PAUSE)
    raise RuntimeError(f"no server on port {port}:\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
