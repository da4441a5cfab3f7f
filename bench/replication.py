"""`python -m bench.replication`: two sites kept alike: how late, how fast, how dear.

Lag is the time from the answer to a PUT at one site until the object is in the state of the other.
A backlog is written while the other site is paused, and drained; `rclone sync` copies the same
objects between the same two endpoints in turn.
"""

import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from socket import socket
from typing import Annotated, Final

import typer

from bench.load import run_load
from bench.servers import KEY
from bench.sites import Site, pair, until
from bench.target import BLOCK, KIB, MIB, Request, unsigned_body

SMALL: Final = 4 * KIB
LARGE: Final = 64 * MIB
HUGE: Final = 1024 * MIB
WRITERS: Final = 8
HOUR: Final = 3600.0
LOOK_SECONDS: Final = 0.001
PARTS: Final = ("lag", "backlog", "overwrites", "memory")
TEMPORARY: Final = Path(tempfile.gettempdir())


class Watcher:
    """Notes when keys appear in a site's state, from a thread, while in use."""

    def __init__(self, site: Site, bucket: str) -> None:
        self._site = site
        self._bucket = bucket
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.seen: dict[str, float] = {}

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        query = "SELECT key FROM objects WHERE bucket = ? AND key >= ?"
        first = 0
        with self._site.state() as state:
            while not self._ended.wait(LOOK_SECONDS):
                found = state.execute(query, (self._bucket, _key(first))).fetchall()
                now = time.perf_counter()
                for (key,) in found:
                    self.seen.setdefault(key, now)
                while _key(first) in self.seen:
                    first += 1


def lags(east: Site, west: Site, bucket: str, size: int, count: int, rate: float) -> list[float]:
    """Put objects, `rate` a second, or each when the last is there if that is 0; seconds of lag."""
    answered: dict[str, float] = {}
    with Watcher(west, bucket) as watcher, closing(east.target.connect()) as connection:
        connection.setblocking(True)
        began = time.perf_counter()
        for number in range(count):
            key = _key(number)
            put(connection, _put(east, bucket, key, size))
            answered[key] = time.perf_counter()
            if rate:
                time.sleep(max(0.0, began + (number + 1) / rate - time.perf_counter()))
            else:
                until(partial(watcher.seen.__contains__, key))
        until(lambda: len(watcher.seen) == count)
    return [max(0.0, watcher.seen[key] - at) for key, at in answered.items()]


def put(connection: socket, request: Request) -> None:
    """Send one request and read its answer. RuntimeError where it is no success."""
    connection.sendall(request.head)
    for start in range(0, request.length, len(BLOCK)):
        connection.sendall(BLOCK[: request.length - start])
    response = HTTPResponse(connection)
    response.begin()
    text = response.read()
    if response.status >= 300:
        raise RuntimeError(f"{response.status}: {text[:200]!r}")


def drained(east: Site, west: Site, bucket: str, size: int, count: int) -> float:
    """The seconds from a resume until the other site has what was written during its pause."""
    east.call("POST", "/sites/west/pause")
    time.sleep(2)
    written(east, bucket, size, count)
    began = time.perf_counter()
    east.call("POST", "/sites/west/resume")
    west.wait_for(bucket, count)
    return time.perf_counter() - began


def written(site: Site, bucket: str, size: int, count: int) -> None:
    def requests() -> Iterator[Request]:
        return (_put(site, bucket, _key(number), size) for number in range(count))

    outcome = run_load(site.target, requests(), WRITERS, HOUR)
    if outcome.errors:
        raise RuntimeError(outcome.first_error)


def synced(program: Path, east: Site, west: Site, bucket: str, copy: str, transfers: int) -> float:
    """The seconds that rclone takes for the same objects."""
    words = [str(program), "sync", f"east:{bucket}", f"west:{copy}", "--size-only"]
    words += ["--transfers", str(transfers), "--checkers", "16"]
    words += ["--s3-no-check-bucket", "--s3-no-head"]
    environment = {"RCLONE_CONFIG": "/dev/null"} | remote("EAST", east) | remote("WEST", west)
    began = time.perf_counter()
    subprocess.run(words, env=environment, check=True)
    return time.perf_counter() - began


def remote(name: str, site: Site) -> dict[str, str]:
    """A site as rclone knows it."""
    options = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ACCESS_KEY_ID": KEY.access_key,
        "SECRET_ACCESS_KEY": KEY.secret_key,
        "REGION": KEY.region,
        "ENDPOINT": site.command.url,
    }
    return {f"RCLONE_CONFIG_{name}_{option}": value for option, value in options.items()}


def made(site: Site, name: str, *others: Site) -> str:
    """A bucket, made at a site and there at the others."""
    with closing(site.target.connect()) as connection:
        connection.setblocking(True)
        put(connection, site.target.request("PUT", name))
    for other in others:
        other.wait_for_bucket(name)
    return name


def tell_lags(east: Site, west: Site, small: int, large: int) -> None:
    for size, count, rate in ((SMALL, small, 50.0), (LARGE, large, 0.0)):
        if not count:
            continue
        bucket = made(east, f"lag-{size}", west)
        found = sorted(seconds * 1000 for seconds in lags(east, west, bucket, size, count, rate))
        p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
        print(
            f"lag of {size // KIB} KiB, {count} objects{f' at {rate:.0f}/s' if rate else ''}: "
            f"p50 {statistics.median(found):.0f} ms, p99 {p99:.0f} ms",
            flush=True,
        )


def tell_backlog(
    east: Site, west: Site, small: int, large: int, rounds: int, rclone: Path | None
) -> None:
    east.call("POST", "/sites/east/pause")  # what rclone puts in the west stays there
    for number in range(rounds):
        for size, count, transfers in ((SMALL, small, 16), (LARGE, large, 4)):
            if not count:
                continue
            bucket = made(east, f"backlog-{size}-{number}", west)
            ours = drained(east, west, bucket, size, count)
            told = f"{count} of {size // KIB} KiB: ours {count / ours:.1f}/s"
            if rclone:
                copy = made(west, f"copy-{size}-{number}")
                theirs = synced(rclone, east, west, bucket, copy, transfers)
                told += f", rclone {count / theirs:.1f}/s, ratio {theirs / ours:.2f}"
            print(f"{told}, {count * size / ours / 1e6:.1f} MB/s", flush=True)
    east.call("POST", "/sites/east/resume")


def tell_overwrites(east: Site, west: Site, count: int) -> None:
    bucket = made(east, "overwrites", west)
    before = east.call("GET", "/sites/west/status")["done"]
    with closing(east.target.connect()) as connection:
        connection.setblocking(True)
        for _ in range(count):
            put(connection, _put(east, bucket, "k", SMALL))
    until(lambda: not east.call("GET", "/sites/west/status")["backlog"])
    time.sleep(2)
    copies = east.call("GET", "/sites/west/status")["done"] - before
    print(f"{count} overwrites of one key: {copies} copies", flush=True)


def tell_memory(east: Site, west: Site, count: int) -> None:
    bucket = made(east, "memory", west)
    before = [site.process.resident_bytes() for site in (east, west)]
    for site in (east, west):
        site.process.forget_peak()
    written(east, bucket, HUGE, count)
    west.wait_for(bucket, count)
    for site, resident in zip((east, west), before, strict=True):
        peak = site.process.peak_bytes()
        print(
            f"{count} objects of 1 GiB: {site.name} {resident / MIB:.0f} MiB before, "
            f"{peak / MIB:.0f} MiB at the peak",
            flush=True,
        )


def main(
    folder: Annotated[Path, typer.Option(help="Where the sites keep their files.")] = TEMPORARY,
    rclone: Annotated[Path | None, typer.Option(help="The program rclone.")] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PARTS)}.")] = None,
    small: Annotated[int, typer.Option(help="Objects of 4 KiB.")] = 3000,
    large: Annotated[int, typer.Option(help="Objects of 64 MiB.")] = 16,
    huge: Annotated[int, typer.Option(help="Objects of 1 GiB.")] = 4,
    overwrites: Annotated[int, typer.Option(help="Of one key.")] = 1000,
    rounds: int = 3,
    compression: Annotated[str, typer.Option(help="none or zstd.")] = "none",
) -> None:
    """Measure replication between two sites of this machine."""
    chosen = only or list(PARTS)
    with tempfile.TemporaryDirectory(dir=folder) as home, pair(Path(home), compression) as sites:
        if "lag" in chosen:
            tell_lags(*sites, small=small // 3, large=large)
        if "overwrites" in chosen:
            tell_overwrites(*sites, count=overwrites)
        if "backlog" in chosen:
            tell_backlog(*sites, small=small, large=large, rounds=rounds, rclone=rclone)
        if "memory" in chosen:
            tell_memory(*sites, count=huge)


def _put(site: Site, bucket: str, key: str, size: int) -> Request:
    return site.target.request("PUT", bucket, key, body=unsigned_body(size))


def _key(number: int) -> str:
    return f"{number:08}"


if __name__ == "__main__":
    typer.run(main)
