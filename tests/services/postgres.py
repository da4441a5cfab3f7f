"""A PostgreSQL server of its own: initialised once, started, killed with all its processes."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.waiting import until
from tests.services.places import do_without
from tests.services.process import WITH_PARENT, Service

VERSIONS: Final = Path("/usr/lib/postgresql")  # Debian's
USER: Final = "postgres"
LOCKED: Final = "locked"  # who must know a password, once a test has made that user
GONE_SECONDS: Final = 30
HBA: Final = f"""
host all {LOCKED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
# A kill of the processes loses nothing that was written, synced or not.
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "5s",
    "log_min_messages": "warning",
}


@dataclass
class Postgres(Service):
    """A server over `folder`, which its user can reach; `url` names its first database."""

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def kill(self) -> None:
        """Kill every process of it, as a power cut would; what was written stays."""
        children = self._children()
        super().kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        until(lambda: not any(map(_lives, children)), "its processes to end", GONE_SECONDS)

    def _answers(self) -> bool:
        """The port answers before the server does."""
        if self._process is None or self._process.poll() is not None:
            raise AssertionError("the service ended")
        asked: list[str | Path] = [
            program("pg_isready"),
            "--quiet",
            "--host=127.0.0.1",
            f"--port={self.port}",
        ]
        return subprocess.run(asked, check=False).returncode == 0

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        pid = self._process.pid
        with contextlib.suppress(FileNotFoundError):
            told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            return [int(child) for child in told.split()]
        return []


@contextmanager
def running(**settings: str) -> Iterator[Postgres]:
    """A new server, with these settings besides those of SETTINGS; gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix="ccs-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        service = _initialised(folder, SETTINGS | settings)
        service.start()
        try:
            yield service
        finally:
            service.kill()
    finally:
        shutil.rmtree(folder)


def program(name: str) -> Path:
    """One of PostgreSQL's programs; without them, skip here and fail in CI."""
    found = sorted(VERSIONS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        do_without("there is no PostgreSQL: apt-get install postgresql")
    return found[-1]


def _initialised(folder: Path, settings: dict[str, str]) -> Postgres:
    # Quick, and not the order of bytes: the state store must not lean on it.
    made = ["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    initdb: list[str | Path] = [*_as_user(), program("initdb"), "--pgdata", folder / "data", *made]
    subprocess.run(initdb, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (folder / "data" / "pg_hba.conf").write_text(HBA)

    def command(home: Path, port: int) -> Sequence[str | Path]:
        options = {**settings, "port": str(port), "unix_socket_directories": str(home)}
        chosen = [f"--{name}={value}" for name, value in options.items()]
        return [*_as_user(), *WITH_PARENT, program("postgres"), "-D", home / "data", *chosen]

    return Postgres(folder, command)


def _as_user() -> list[str]:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]


def _lives(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
