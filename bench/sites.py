"""Two sites of this machine for benchmarks: each a process over disk, with SQLite unless told."""

import json
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.process import ProcessTree, listening_on
from bench.servers import HOST, KEY, Command, free_port, gateway, running
from bench.target import Target

SECRET: Final = "a-secret-that-both-sites-share-0001"
LOOK_SECONDS: Final = 0.002
PATIENCE: Final = 600.0
SQLITE: Final[Mapping[str, Mapping[str, str]]] = {"east": {}, "west": {}}


@dataclass(frozen=True)
class Site:
    """A site at work."""

    name: str
    folder: Path
    command: Command
    admin: str
    endpoint: str

    @property
    def target(self) -> Target:
        return Target.at(self.command.url, KEY, self.name)

    @property
    def process(self) -> ProcessTree:
        found = listening_on(self.command.port)
        if found is None:
            raise RuntimeError(f"{self.name} has ended")
        return found

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """What the operators' API answers."""
        key = (self.folder / "operator.key").read_text().strip()
        request = urllib.request.Request(
            f"{self.admin}/v1{path}",
            data=json.dumps(body).encode() if body is not None else None,
            method=method,
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @contextmanager
    def state(self) -> Iterator[sqlite3.Connection]:
        """The site's own state, to look at: that costs the site least."""
        file = f"file:{self.folder / 'state.db'}?mode=ro"
        with closing(sqlite3.connect(file, uri=True, timeout=10)) as connection:
            yield connection

    def wait_for(self, bucket: str, count: int) -> None:
        """Return when the bucket has so many objects here."""
        with self.state() as state:
            query = "SELECT count(*) FROM objects WHERE bucket = ?"
            until(lambda: state.execute(query, (bucket,)).fetchone()[0] >= count)

    def wait_for_bucket(self, bucket: str) -> None:
        with self.state() as state:
            query = "SELECT 1 FROM buckets WHERE name = ?"
            until(lambda: state.execute(query, (bucket,)).fetchone() is not None)


def until(condition: Callable[[], bool]) -> None:
    """Look until it is so. TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:.0f} s in vain")
        time.sleep(LOOK_SECONDS)


@contextmanager
def pair(
    home: Path, compression: str, states: Mapping[str, Mapping[str, str]] = SQLITE
) -> Iterator[tuple[Site, Site]]:
    """East and west, who know each other, while the block runs; `states` says where each keeps."""
    with ExitStack() as held:
        east, west = (
            _site(home, name, {"SITES__COMPRESSION": compression, **states[name]})
            for name in ("east", "west")
        )
        for site in (east, west):
            held.enter_context(running(site.command, home / f"{site.name}.log"))
        until((east.folder / "operator.key").exists)
        east.call("POST", "/sites", {"endpoint": west.endpoint})
        until(lambda: len(west.call("GET", "/sites")["sites"]) == 2)
        yield east, west


def _site(home: Path, name: str, more: Mapping[str, str]) -> Site:
    port, admin = free_port(), free_port()
    settings = {
        "SITE__NAME": name,
        "SITES__SECRET": SECRET,
        "SITES__PORT": str(port),
        "SITES__REMOTE_READ": "off",
        "ADMIN__PORT": str(admin),
        **more,
    }
    folder = home / name
    command = gateway(folder, settings)
    return Site(name, folder, command, f"http://{HOST}:{admin}", f"http://{HOST}:{port}")
