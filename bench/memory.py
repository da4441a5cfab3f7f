"""`python -m bench.memory`: does a server's memory stay flat while big objects stream through it?

One big object and many others are put and got at once, each on a connection of its own. The
client makes bodies from one block and drops what it gets, so it holds none of them.
"""

import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from bench.load import Load, Outcome
from bench.process import ProcessTree, listening_on
from bench.signing import Credentials
from bench.target import GIB, MIB, Request, Target, unsigned_body

SAMPLE_SECONDS: Final = 0.1
HOUR: Final = 3600.0


@dataclass(slots=True)
class Peaks:
    """The highest sums over a server's processes that were sampled, in bytes."""

    resident: int = 0
    private: int = 0

    def see(self, server: ProcessTree) -> None:
        self.resident = max(self.resident, server.resident_bytes())
        self.private = max(self.private, server.private_bytes())


class Sampler:
    """Looks at a server's memory from a thread, ten times a second, while in use."""

    def __init__(self, server: ProcessTree) -> None:
        self.peaks = Peaks()
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self.peaks

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.peaks.see(self._server)


@dataclass(frozen=True, slots=True)
class Streams:
    """Objects to move, by key, in one bucket."""

    target: Target
    bucket: str
    sizes: dict[str, int]

    def prepare(self) -> None:
        self._run([iter([self.target.request("PUT", self.bucket)])])

    def move(self) -> Outcome:
        """Put each object and get it back, all at once."""
        return self._run([self._there_and_back(key, size) for key, size in self.sizes.items()])

    def clear(self) -> None:
        """Remove the objects, then the bucket."""
        deletes = [self.target.request("DELETE", self.bucket, key) for key in self.sizes]
        self._run([iter([*deletes, self.target.request("DELETE", self.bucket)])])

    def _there_and_back(self, key: str, size: int) -> Iterator[Request]:
        yield self.target.request("PUT", self.bucket, key, body=unsigned_body(size))
        yield self.target.request("GET", self.bucket, key)

    def _run(self, scripts: Sequence[Iterator[Request]]) -> Outcome:
        outcome = Load(self.target, scripts).run(HOUR)
        if outcome.errors:
            raise RuntimeError(f"{self.target.name}: {outcome.first_error}")
        return outcome


def main(
    endpoint: Annotated[str, typer.Option(help="URL of the endpoint, on this machine.")],
    key: Annotated[str, typer.Option(envvar="BENCH_KEY", help="ACCESS:SECRET of the endpoint.")],
    pid: Annotated[int, typer.Option(help="Server process; else who listens on the port.")] = 0,
    region: str = "us-east-1",
    big: Annotated[int, typer.Option(help="MiB of the big object.")] = 5 * 1024,
    others: Annotated[int, typer.Option(help="How many other objects move meanwhile.")] = 16,
    size: Annotated[int, typer.Option(help="MiB of each of the others.")] = 1024,
    limit: Annotated[int, typer.Option(help="MiB of resident memory that fail the run.")] = 200,
) -> None:
    """Put and get big objects at once and print the server's highest resident memory."""
    access_key, _, secret_key = key.partition(":")
    target = Target.at(endpoint, Credentials(access_key, secret_key, region))
    server = ProcessTree((pid,)) if pid else listening_on(target.port)
    if server is None:
        raise typer.BadParameter(f"no process of this machine listens on port {target.port}")
    sizes = {"big": big * MIB} | {f"other-{number}": size * MIB for number in range(others)}
    if (
        measured_peak(Streams(target, f"memory-{secrets.token_hex(4)}", sizes), server)
        > limit * MIB
    ):
        sys.exit(f"above the limit of {limit} MiB")


def measured_peak(streams: Streams, server: ProcessTree) -> int:
    """Move the streams, print what it took, and answer the peak in bytes."""
    before = server.resident_bytes()
    server.forget_peak()
    streams.prepare()
    try:
        with Sampler(server) as peaks:
            outcome = streams.move()
    finally:
        streams.clear()
    peak = server.peak_bytes()
    moved = 2 * sum(streams.sizes.values())
    print(
        f"{moved / GIB:.1f} GiB moved in {outcome.seconds:.0f} s; resident memory: "
        f"{before / MIB:.0f} MiB before, {peak / MIB:.0f} MiB at the peak "
        f"(sampled {peaks.resident / MIB:.0f}, of which not mapped files {peaks.private / MIB:.0f})"
    )
    return peak


if __name__ == "__main__":
    typer.run(main)
