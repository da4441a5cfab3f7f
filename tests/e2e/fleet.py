"""Gateways that keep nothing of their own, behind one address; followers that share a group."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.balancer import Balancer
from tests.e2e.clients import Reachable, s3_client
from tests.e2e.history import History
from tests.e2e.server import COMMAND, ROOT, Server, environment
from tests.e2e.writers import Writer

GROUP: Final = "followers"
CLIENTS: Final = 6
UNAVAILABLE: Final = 503


@dataclass
class Fleet:
    """Servers over the same database, storage and broker."""

    servers: list[Server]
    balancer: Balancer

    def start(self, server: Server) -> None:
        """Start one, or start it again, and let the balancer know where it is."""
        server.start()
        self.balancer.urls[self.servers.index(server)] = server.url


@contextmanager
def fleet(folder: Path, size: int, settings: Mapping[str, str]) -> Iterator[Fleet]:
    """So many gateways, each with a data folder of its own, while the block runs."""
    servers = [Server(folder / f"gateway-{number}", settings=settings) for number in range(size)]
    with Balancer([""] * size) as balancer:
        running = Fleet(servers, balancer)
        try:
            for server in servers:
                running.start(server)
            yield running
        finally:
            for server in servers:
                server.kill()


@dataclass
class Follower:
    """A process that prints the events of the group; a new process may follow a killed one."""

    folder: Path
    settings: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> Path:
        return self.folder.with_suffix(".events")

    def start(self) -> None:
        run = [*COMMAND, "events", "tail", "--group", GROUP, "--data", str(self.folder)]
        with self.file.open("ab") as out, self.folder.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                run, cwd=ROOT, env=environment(self.settings), stdout=out, stderr=log
            )

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def records(self) -> list[dict[str, Any]]:
        """What it printed so far; a line that a kill cut off is left out."""
        if not self.file.exists():
            return []
        lines = [line for line in self.file.read_bytes().split(b"\n") if line.endswith(b"}")]
        return [record for line in lines for record in json.loads(line)["Records"]]


@dataclass
class Stubborn:
    """Writers that go on after errors, while the block runs; `refused` has all they were told."""

    target: Reachable
    bucket: str
    history: History
    seeds: Sequence[int] = range(CLIENTS)
    refused: list[str] = field(default_factory=list)
    config: Mapping[str, Any] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor)
    _running: list[Future[None]] = field(default_factory=list)

    def __enter__(self) -> "Stubborn":
        self._running = [self._pool.submit(self._run, seed) for seed in self.seeds]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for running in self._running:
            running.result()

    def _run(self, seed: int) -> None:
        with s3_client(self.target, read_timeout=30, **self.config) as s3:
            writer = Writer(s3, self.bucket, self.history, seed)
            while not self._stop.is_set():
                try:
                    writer.write()
                except ClientError as error:
                    self.refused.append(f"{error.response['ResponseMetadata']['HTTPStatusCode']}")
                except BotoCoreError as error:
                    self.refused.append(type(error).__name__)
