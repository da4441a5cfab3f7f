"""The server as processes: keys, workers, signals, TLS, the operators' port."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.wire.gateway import MAIN, Client, read_answer

PATIENCE = 30.0
PORTS = {"CCS_SERVER__OPERATIONS_PORT": "0", "CCS_ADMIN__PORT": "0"}


def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass(frozen=True)
class Server:
    """A started `ccs serve`."""

    process: "subprocess.Popen[str]"
    client: Client
    operations: int
    greeting: str

    def operation(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.operations}{path}") as answer:
            return str(answer.read().decode())

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(json.loads(self.operation("/health/ready"))["ready"])
        return False

    def workers(self) -> list[int]:
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [
            int(child)
            for child in found.split()
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
        ]


@contextlib.contextmanager
def serving(data: Path, *arguments: str, **settings: str) -> Iterator[Server]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CCS_")}
    first = {"CCS_ACCESS_KEY": MAIN.access_key, "CCS_SECRET_KEY": MAIN.secret_key}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "s3proxy.cli",
            "serve",
            "--port",
            "0",
            "--data",
            str(data),
            *arguments,
        ],
        env={**clean, **first, **PORTS, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if "boto3.client" in line:
                break
        greeting = "".join(lines)
        ports = re.findall(r"127\.0\.0\.1:(\d+)", greeting)
        assert ports, greeting
        server = Server(process, Client(int(ports[0])), int(ports[1]), greeting)
        until(server.is_ready)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_the_first_start_makes_a_key_and_later_ones_keep_it(tmp_path: Path) -> None:
    nothing = {"CCS_ACCESS_KEY": "", "CCS_SECRET_KEY": ""}
    with serving(tmp_path, **nothing) as server:
        secret = re.search(r"Secret key (\S{40}) ", server.greeting)
    file = tmp_path / "credentials"
    with serving(tmp_path, **nothing) as again:
        second = again.greeting

    assert secret
    assert secret[1] in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret[1] not in second
    assert "AWS_SHARED_CREDENTIALS_FILE" in second


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_lets_an_upload_finish(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, "--workers", workers) as server:
        assert server.client.ask("PUT", "/photos").status == 200
        body = bytes(200_000)
        head = server.client.head_of("PUT", "/photos/cat", body=body)
        with server.client.connect() as connection:
            connection.sendall(head + body[:100_000])
            until(lambda: 'operation="CreateBucket"' in server.operation("/metrics"))
            os.kill(server.process.pid, signal.SIGTERM)
            until(lambda: not accepts(server.client.port))
            connection.sendall(body[100_000:])
            assert read_answer(connection).status == 200
        assert server.process.wait(PATIENCE) == 0
    with serving(tmp_path) as restarted:
        assert restarted.client.ask("GET", "/photos/cat").body == body


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        until(lambda: len(server.workers()) == 2)
        victim = server.workers()[0]

        os.kill(victim, signal.SIGKILL)

        until(lambda: len(set(server.workers()) - {victim}) == 2)
        assert server.client.ask("GET", "/").status == 200


def test_workers_leave_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        until(lambda: len(server.workers()) == 2)
        workers = server.workers()

        server.process.kill()

        until(lambda: not any(is_running(worker) for worker in workers))


def is_running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def test_metrics_count_for_all_workers(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        for _ in range(20):
            assert server.client.ask("GET", "/").status == 200

        # A request is counted when its answer is out, by the worker that gave it.
        counted = (
            'ccs_s3_requests_total{operation="ListBuckets",status="200"} 20.0',
            'ccs_s3_request_seconds_count{operation="ListBuckets"} 20.0',
        )
        until(lambda: all(line in server.operation("/metrics") for line in counted))


def test_live_and_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.operation("/health/live") == "live\n"
        assert json.loads(server.operation("/health/ready")) == {"ready": True}


def test_tls_is_spoken_from_the_minimum_version_on(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    old = ssl.create_default_context()
    authority.configure_trust(old)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    settings = {
        "CCS_TLS__CERTIFICATE": str(tmp_path / "cert.pem"),
        "CCS_TLS__KEY": str(tmp_path / "key.pem"),
        "CCS_TLS__MINIMUM_VERSION": "1.3",
    }

    with serving(tmp_path / "data", **settings) as server:
        with server.client.connect() as plain:
            secure = context.wrap_socket(plain, server_hostname="127.0.0.1")
            secure.sendall(server.client.head_of("GET", "/"))
            assert read_answer(secure).status == 200
            assert secure.version() == "TLSv1.3"
            secure.close()
        with server.client.connect() as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="127.0.0.1")
    assert "https://127.0.0.1" in server.greeting
