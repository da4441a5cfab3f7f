"""`ccs demo`: two sites on this machine, each on another storage, that keep each other alike."""

import contextlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, NamedTuple

import typer

from s3proxy.cli.remote import Remote
from s3proxy.cli.terminal import out
from s3proxy.config import FIRST_KEY, PREFIX, ConfigError

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.2
STEP: Final = 10
ACCESS: Final = "DEMO"


class Ports(NamedTuple):
    """The listeners of one process."""

    s3: int
    operations: int
    admin: int
    site: int


@dataclass(frozen=True, slots=True)
class Site:
    """One process of the demo: its name, its ports, and the storage it stands on."""

    name: str
    ports: Ports
    storage: str = ""
    secret: str = ""

    @property
    def url(self) -> str:
        return _url(self.ports.s3)

    @property
    def admin(self) -> str:
        return _url(self.ports.admin)

    def configuration(self, folder: Path) -> str:
        """Its file of settings: what an operator would write."""
        ports = self.ports
        own = f'[site]\nname = "{self.name}"\n\n[sites]\nport = {ports.site}\n'
        lines = [
            f"[server]\nport = {ports.s3}\noperations_port = {ports.operations}\n",
            f"[admin]\nport = {ports.admin}\n",
            f'{own}secret = "{self.secret}"\n' if self.secret else '[state]\nkind = "none"\n',
            f'[storage]\ndata = "{folder / self.name}"\n{self.storage}',
        ]
        return "\n".join(lines)


def demo(
    data: Annotated[
        Path, typer.Option(help="A folder for the demo; it may be deleted afterwards.")
    ] = Path("ccs-demo"),
    port: Annotated[
        int, typer.Option(help="The first of the ports that it takes; 0: whichever are free.")
    ] = 9000,
) -> None:
    """Start two sites on this machine, one on disk, one on an S3 storage, until Ctrl-C."""
    folder = data.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _kept(folder / "secret")
    members = sites_of(port, key)
    with _running(folder, members, key):
        for member in members:
            _until_ready(member, folder)
        _introduce(folder, members)
        _greet(folder, members)
        _until_interrupted()


def sites_of(port: int, key: str) -> list[Site]:
    """The sites, and first what the second of them stands on."""
    east = Site("east", _ports(port), secret=key)
    if importlib.util.find_spec("aiobotocore") is None:
        return [east, Site("west", _ports(port, 1), secret=key)]
    cloud = Site("cloud", _ports(port, 2))
    account = (
        f'kind = "s3"\n\n[storage.s3]\nendpoint = "{cloud.url}"\n'
        f'access_key = "{ACCESS}"\nsecret_key = "{key}"\n'
    )
    return [cloud, east, Site("west", _ports(port, 1), account, key)]


def _ports(first: int, number: int = 0) -> Ports:
    """Those of a process: from `first` on, or whichever are free."""
    if first:
        return Ports(*range(first + STEP * number, first + STEP * number + len(Ports._fields)))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in Ports._fields]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return Ports(*(one.getsockname()[1] for one in sockets))


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _kept(file: Path) -> str:
    """The demo's secret, made at its first start."""
    if not file.exists():
        file.touch(0o600)
        file.write_text(secrets.token_hex(24))
    return file.read_text().strip()


@contextlib.contextmanager
def _running(folder: Path, members: list[Site], key: str) -> Iterator[None]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment = outside | dict(zip(FIRST_KEY, (ACCESS, key), strict=True))
    started = []
    try:
        for member in members:
            started.append(_start(folder, member, environment))
            if member.name == "cloud":
                _until_ready(member, folder)
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def _start(folder: Path, member: Site, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    file = folder / f"{member.name}.toml"
    file.write_text(member.configuration(folder))
    file.chmod(0o600)
    command = [sys.executable, "-m", "s3proxy.cli", "serve", "--config", str(file)]
    with (folder / f"{member.name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    (folder / f"{member.name}.pid").write_text(f"{process.pid}\n")
    return process


def _until_ready(member: Site, folder: Path) -> None:
    """ConfigError where it does not come up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            address = f"{_url(member.ports.operations)}/health/ready"
            with urllib.request.urlopen(address, timeout=START_SECONDS):
                return
        time.sleep(LOOK_SECONDS)
    log = folder / f"{member.name}.log"
    raise ConfigError(f"{member.name} did not start, {log} says why (is a port of it in use?)")


def _introduce(folder: Path, members: list[Site]) -> None:
    """Let the second site be known to the first, unless an earlier run did that."""
    east, west = members[-2:]
    server = Remote(east.admin, (folder / "east" / "operator.key").read_text().strip())
    known = server.get("sites")["sites"]
    if west.name not in {site["name"] for site in known}:
        server.post("sites", body={"endpoint": _url(west.ports.site)})


def _greet(folder: Path, members: list[Site]) -> None:
    east, west = members[-2:]
    told = "an S3 storage" if members[0].name == "cloud" else "disk"
    credentials = folder / "east" / "credentials"
    for line in (
        f"east, on disk, serves S3 at {east.url}",
        f"west, on {told}, serves S3 at {west.url}",
        "",
        "In another terminal:",
        f"  export AWS_SHARED_CREDENTIALS_FILE={credentials} AWS_PROFILE=ccs AWS_REGION=us-east-1",
        f"  aws --endpoint-url {east.url} s3 mb s3://demo",
        f"  date | aws --endpoint-url {east.url} s3 cp - s3://demo/now",
        f"  aws --endpoint-url {west.url} s3 cp s3://demo/now -",
        f"  ccs site status --server {east.admin} --config {folder / 'east.toml'}",
        f"  kill -9 $(cat {folder / 'west.pid'})   # a site is gone; east goes on",
        f"  ccs serve --config {folder / 'west.toml'}   # it comes back, and catches up",
        "",
        "Ctrl-C ends the demo; what it stored stays in " + str(folder),
    ):
        out.print(line, markup=False)
    sys.stdout.flush()


def _until_interrupted() -> None:
    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
