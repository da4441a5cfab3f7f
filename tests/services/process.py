"""A server of another program: started on a free port, awaited, killed, started again."""

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.waiting import until

START_SECONDS: Final = 60
WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL", "--")  # gone when the test run is
# Linux gives outgoing connections ports above these: a client that tries again and again while a
# server is down can never get the server's port for its own end.
PORTS: Final = range(20_000, 32_768)


def free_port() -> int:
    """A port of the loopback address that nobody uses just now."""
    shuffled = random.Random().sample(PORTS, len(PORTS))  # its own seed, whatever a test has set
    return next(port for port in shuffled if _is_free(port))


@dataclass
class Service:
    """A process that listens on `port`; `command` makes its command line of folder and port."""

    folder: Path
    command: Callable[[Path, int], Sequence[str | Path]]
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    patience: float = START_SECONDS
    scheme: str = "http"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start, and return once the port answers; after kill(), on the same port and folder.

        The process ends with the thread that starts it. AssertionError, with the end of the log,
        when it ends before it answers or takes longer than `patience` seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*WITH_PARENT, *map(str, self.command(self.folder, self.port))],
                env=os.environ | self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until(self._answers, f"port {self.port} to answer", self.patience)
        except AssertionError as error:
            self.kill()
            told = self.log.read_text(errors="replace")[-4000:]
            raise AssertionError(f"{error}; the service's log:\n{told}") from error

    def kill(self) -> None:
        """Kill it at once, as a power cut would; what it has in files stays."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError("the service ended")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
