"""The real server as a process of its own: started, awaited, killed, stopped."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.error import URLError

from tests.e2e.waiting import until

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 30
STOP_SECONDS: Final = 45
ADDRESS: Final = r" at (https?://127\.0\.0\.1:\d+)"
TOLD: Final = "boto3.client"
PORTS: Final = {
    "CCS_SERVER__OPERATIONS_PORT": "0",
    "CCS_ADMIN__PORT": "0",
    "CCS_SITES__PORT": "0",
}
WORKER: Final = "spawn_main"
COMMAND: Final = (sys.executable, "-m", "s3proxy.cli")


class Key(NamedTuple):
    """A client's access key and secret key."""

    access: str
    secret: str


FIRST: Final = Key("FIRSTCLIENTSKEY", "the-secret-of-the-first-client")
SECOND: Final = Key("SECONDCLIENTSKEY", "the-secret-of-the-second-client")


class Certificate(NamedTuple):
    """Files of a TLS listener: its chain, its private key, the authority to trust."""

    chain: Path
    key: Path
    authority: Path


@dataclass
class Server:
    """One `ccs serve` over one data folder. Ports are the system's choice, anew at each start.

    `site` is "" without a secret of the sites in its settings.
    """

    data: Path
    workers: int = 1
    certificate: Certificate | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    operations: str = ""
    admin: str = ""
    site: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.data.with_suffix(".log")

    @property
    def trust(self) -> Path | None:
        """The authority that a client of the S3 port must trust; None over plain http."""
        return self.certificate.authority if self.certificate else None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError("the server was not started")
        return self._process

    def start(self) -> None:
        """Start, and return once the server says that it is ready."""
        told = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "serve", "--port", "0", *self._flags()],
                cwd=ROOT,
                env=environment({**self.settings, **self._tls()}),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        greeting = until(lambda: self._greeting(told), "the greeting", START_SECONDS)
        self.url = _address_of("Serving S3", greeting)
        self.operations = _address_of("Metrics and health", greeting)
        self.admin = _address_of("The operators' API", greeting)
        self.site = _address_of("S3 to other sites", greeting)
        until(self._ready, f"{self.operations} to be ready", START_SECONDS)

    def kill(self) -> None:
        """Kill every process of the server at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """Ask the server to leave, as a service manager does."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask the server to leave and wait for it; its exit code."""
        self.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def workers_at_work(self) -> set[int]:
        """The ids of the processes that serve S3: the one, or the children of the supervisor."""
        main = self.process.pid
        if self.workers == 1:
            return {main}
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return {int(child) for child in children if WORKER in _command_of(child)}

    def resident(self, *, peak: bool = False) -> dict[int, int]:
        """Bytes of memory that each worker has resident, now or at the most so far."""
        name = "VmHWM" if peak else "VmRSS"
        return {pid: _status_of(pid, name) * 1024 for pid in self.workers_at_work()}

    def add_key(self, owner: str, key: Key) -> None:
        """Add a client by the command, beside the running server."""
        run = [*COMMAND, "key", "create", "--owner", owner, "--data", str(self.data)]
        names = ["--access-key", key.access, "--secret-key", key.secret]
        subprocess.run([*run, *names], cwd=ROOT, env=environment(self.settings), check=True)

    def _flags(self) -> list[str]:
        return ["--data", str(self.data), "--workers", str(self.workers)]

    def _tls(self) -> dict[str, str]:
        if self.certificate is None:
            return {}
        return {
            "CCS_TLS__CERTIFICATE": str(self.certificate.chain),
            "CCS_TLS__KEY": str(self.certificate.key),
        }

    def _greeting(self, told: int) -> str:
        """What this start told, once it is whole."""
        self._must_live()
        text = self.log.read_bytes()[told:].decode()
        return text if TOLD in text else ""

    def _ready(self) -> bool:
        self._must_live()
        try:
            with urllib.request.urlopen(f"{self.operations}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _must_live(self) -> None:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended:\n{self.log.read_text()[-4000:]}")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of ours, plus the given ones."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CCS_")}
    keys = {"CCS_ACCESS_KEY": FIRST.access, "CCS_SECRET_KEY": FIRST.secret}
    return ours | keys | PORTS | dict(settings)


def _address_of(what: str, greeting: str) -> str:
    """Where it is served; "" where it is not."""
    found = re.search(what + ADDRESS, greeting)
    return found[1] if found else ""


def _command_of(pid: str) -> str:
    """A process's command line; "" when it has just gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def _status_of(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
