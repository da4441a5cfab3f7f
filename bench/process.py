"""CPU time, peak memory and CPU affinity of a server's processes, read from Linux's /proc.

Sources: proc(5) for `stat`, `status` (VmHWM), `clear_refs` and `net/tcp`.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
TICKS: Final = os.sysconf("SC_CLK_TCK")
LISTENING: Final = "0A"
RESET_PEAK: Final = "5"
GONE: Final = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """A server: the processes named and all that descend from them, as they are when asked."""

    roots: tuple[int, ...]

    def pids(self) -> list[int]:
        children = _children()
        found: list[int] = []
        waiting = list(self.roots)
        while waiting:
            pid = waiting.pop()
            if pid not in found:
                found.append(pid)
                waiting += children.get(pid, [])
        return found

    def cpu_seconds(self) -> float:
        """User and system time that the processes alive now have used."""
        return sum(_cpu_ticks(pid) for pid in self.pids()) / TICKS

    def peak_bytes(self) -> int:
        """The sum of each process's highest resident size since `forget_peak`."""
        return sum(_status_bytes(pid, "VmHWM") for pid in self.pids())

    def resident_bytes(self) -> int:
        return sum(_status_bytes(pid, "VmRSS") for pid in self.pids())

    def private_bytes(self) -> int:
        """Resident memory that is not a mapped file, which the system could drop at will."""
        return sum(_status_bytes(pid, "RssAnon") for pid in self.pids())

    def forget_peak(self) -> None:
        for pid in self.pids():
            with contextlib.suppress(*GONE):
                (PROC / str(pid) / "clear_refs").write_text(RESET_PEAK)

    def pin(self, cpus: Sequence[int]) -> None:
        """Let every thread run on these CPUs only."""
        for pid in self.pids():
            for task in (PROC / str(pid) / "task").iterdir():
                with contextlib.suppress(*GONE):
                    os.sched_setaffinity(int(task.name), cpus)


def listening_on(port: int) -> ProcessTree | None:
    """The processes that listen on a TCP port of this machine; None where there are none."""
    inodes = set(_listening_inodes(port))
    roots = tuple(pid for pid in _all_pids() if inodes & _socket_inodes(pid))
    return ProcessTree(roots) if roots else None


def machine_cpu_seconds() -> float:
    """CPU time that all processes of the machine have used, waiting for disks left out."""
    fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, interrupts, soft_interrupts = map(int, fields[:7])
    return (user + nice + system + interrupts + soft_interrupts) / TICKS


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid in _all_pids():
        fields = _stat_fields(pid)
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    return children


def _stat_fields(pid: int) -> list[str]:
    """The fields of `stat` from the state on; empty where the process is gone."""
    with contextlib.suppress(*GONE):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return []


def _cpu_ticks(pid: int) -> int:
    fields = _stat_fields(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _status_bytes(pid: int, name: str) -> int:
    with contextlib.suppress(*GONE):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(*GONE):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(*GONE):
                found.add(str(entry.readlink()))
    return found
