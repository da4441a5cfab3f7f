"""Networks of this machine: two namespaces with a link between them that can be shaped."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import pytest

NET: Final = 0x40000000  # CLONE_NEWNET
LIBC: Final = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


@dataclass
class Namespace:
    """A network of its own. What `run` calls is in it, with all that is started there."""

    name: str
    device: str
    address: str
    _inside: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._inside = ThreadPoolExecutor(1, initializer=self._enter)

    def run(self, call: Callable[[], T]) -> T:
        """What the call answers, from inside."""
        return self._inside.submit(call).result()

    def limit(self, rate: str) -> None:
        """Let no more leave on the link, and the rest queue before it, as tc's tbf has it."""
        shape = ["rate", rate, "burst", "64kb", "latency", "200ms"]
        qdisc = ["tc", "qdisc", "replace", "dev", self.device, "root", "tbf", *shape]
        do("ip", "netns", "exec", self.name, *qdisc)

    def link(self, state: str) -> None:
        """Put the link "up" or "down"."""
        do("ip", "-n", self.name, "link", "set", self.device, state)

    def close(self) -> None:
        self._inside.shutdown()

    def _enter(self) -> None:
        descriptor = os.open(Path("/var/run/netns") / self.name, os.O_RDONLY)
        try:
            if LIBC.setns(descriptor, NET):
                raise OSError(ctypes.get_errno(), f"setns {self.name}")
        finally:
            os.close(descriptor)


@contextmanager
def two_networks(rate: str) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces and a link of that rate; skips where the machine cannot have them."""
    mark = f"{os.getpid() % 100_000}"
    one = Namespace(f"ccs-e{mark}", f"ve{mark}", "10.77.0.1")
    other = Namespace(f"ccs-w{mark}", f"vw{mark}", "10.77.0.2")
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "tc"))):
        pytest.skip("network namespaces need root, ip and tc")
    try:
        make(one, other, rate)
        yield one, other
    finally:
        for namespace in (one, other):
            namespace.close()
            delete = ["ip", "netns", "delete", namespace.name]
            subprocess.run(delete, capture_output=True, check=False)


def make(one: Namespace, other: Namespace, rate: str) -> None:
    """Make both and the link, or skip: a kernel, or a container, need not let us."""
    try:
        for namespace in (one, other):
            do("ip", "netns", "add", namespace.name)
        pair = ["peer", "name", other.device, "netns", other.name]
        do("ip", "link", "add", one.device, "netns", one.name, "type", "veth", *pair)
        for namespace in (one, other):
            inside = ["ip", "-n", namespace.name]
            do(*inside, "address", "add", f"{namespace.address}/24", "dev", namespace.device)
            do(*inside, "link", "set", namespace.device, "up")
            do(*inside, "link", "set", "lo", "up")
            namespace.limit(rate)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine makes no such networks: {error.stderr.decode()}")


def do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
