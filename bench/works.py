"""What is measured: the table of works, and the buckets and objects they need."""

import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.load import run_load
from bench.target import KIB, MIB, Body, Request, Target, signed_body, unsigned_body

PAGE: Final = 1000
LISTED: Final = 10_000
FRESH_PUTS_A_SECOND: Final = 4_000
DELETED: Final = 3_000
PREPARING: Final = 8  # connections that put and remove objects outside the measured time
PREPARING_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Seed:
    """Objects in a bucket of their own that are there before a work is measured."""

    bucket: str
    count: int
    size: int

    @property
    def keys(self) -> list[str]:
        return numbered("object", self.count)


SMALL: Final = Seed("small", 1_000, 4 * KIB)
MEDIUM: Final = Seed("medium", 32, MIB)
LARGE: Final = Seed("large", 4, 64 * MIB)
MANY: Final = Seed("many", LISTED, 16)
EMPTY: Final = Seed("writes", 0, 0)


@dataclass(frozen=True, slots=True)
class Script:
    """Requests of one measured run, and the keys left in the bucket once so many were sent."""

    requests: Iterator[Request]
    leaves: Callable[[int], Sequence[str]] = lambda _sent: ()


class Stage:
    """Buckets of one benchmark on one target, and what they hold."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._prefix = f"bench-{secrets.token_hex(4)}"
        self._seeds: list[Seed] = []

    def bucket(self, seed: Seed) -> str:
        return f"{self._prefix}-{seed.bucket}"

    def request(
        self, method: str, seed: Seed, key: str, query: Sequence[tuple[str, str]] = ()
    ) -> Request:
        return self.target.request(method, self.bucket(seed), key, query)

    def put(self, seed: Seed, key: str, body: Body) -> Request:
        return self.target.request("PUT", self.bucket(seed), key, body=body)

    def prepare(self, seed: Seed) -> None:
        """Make a seed's bucket and objects unless they are there."""
        if seed in self._seeds:
            return
        self._all_done([self.target.request("PUT", self.bucket(seed))])
        self._seeds.append(seed)
        self.fill(seed, seed.keys, seed.size)

    def fill(self, seed: Seed, keys: Iterable[str], size: int) -> None:
        body = signed_body(size)
        self._all_done(self.put(seed, key, body) for key in keys)

    def remove(self, seed: Seed, keys: Iterable[str]) -> None:
        self._all_done(self.request("DELETE", seed, key) for key in keys)

    def clear(self) -> None:
        """Remove the seeds' objects and buckets."""
        while self._seeds:
            seed = self._seeds.pop()
            self.remove(seed, seed.keys)
            self._all_done([self.target.request("DELETE", self.bucket(seed))])

    def _all_done(self, requests: Iterable[Request]) -> None:
        outcome = run_load(self.target, iter(requests), PREPARING, PREPARING_SECONDS)
        if outcome.errors:
            raise RuntimeError(f"{self.target.name}: {outcome.first_error}")


Scripted = Callable[[Stage, float], Script]


@dataclass(frozen=True, slots=True)
class Work:
    """One line of the table; `size` is the bytes of body that a request moves."""

    name: str
    size: int
    seed: Seed
    script: Scripted = field(repr=False)
    concurrencies: tuple[int, ...] = (1, 8, 32)


def reading(method: str, seed: Seed) -> Scripted:
    """GET or HEAD of the seed's objects, one after the other."""

    def script(stage: Stage, _seconds: float) -> Script:
        return Script(itertools.cycle([stage.request(method, seed, key) for key in seed.keys]))

    return script


def fresh_puts(size: int) -> Scripted:
    """PUT of keys that were not there; the run ends early where it uses them up."""

    def script(stage: Stage, seconds: float) -> Script:
        keys = numbered(secrets.token_hex(4), int(seconds * FRESH_PUTS_A_SECOND))
        body = signed_body(size)
        return Script(iter([stage.put(EMPTY, key, body) for key in keys]), lambda sent: keys[:sent])

    return script


def repeated_puts(body_of: Callable[[int], Body], size: int, keys: int) -> Scripted:
    """PUT of a few keys again and again, so that the disk does not fill up."""

    def script(stage: Stage, _seconds: float) -> Script:
        names = numbered("again", keys)
        requests = [stage.put(EMPTY, name, body_of(size)) for name in names]
        return Script(itertools.cycle(requests), lambda sent: names[:sent])

    return script


def pages(stage: Stage, _seconds: float) -> Script:
    """ListObjectsV2 of a bucket, page by page from its start to its end."""
    starts = ["", *MANY.keys[PAGE - 1 : -1 : PAGE]]
    return Script(itertools.cycle([_page(stage, start) for start in starts]))


def deletes(stage: Stage, _seconds: float) -> Script:
    """DELETE of objects that are there, each once."""
    keys = numbered(secrets.token_hex(4), DELETED)
    stage.fill(EMPTY, keys, 4 * KIB)
    requests = [stage.request("DELETE", EMPTY, key) for key in keys]
    return Script(iter(requests), lambda sent: keys[sent:])


def numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number:06d}" for number in range(count)]


def _page(stage: Stage, start: str) -> Request:
    query = [("list-type", "2"), ("max-keys", str(PAGE))]
    return stage.request("GET", MANY, "", [*query, ("start-after", start)] if start else query)


WORKS: Final = (
    Work("HEAD", 0, SMALL, reading("HEAD", SMALL)),
    Work("GET 4 KiB", 4 * KIB, SMALL, reading("GET", SMALL)),
    Work("GET 1 MiB", MIB, MEDIUM, reading("GET", MEDIUM)),
    Work("GET 64 MiB", 64 * MIB, LARGE, reading("GET", LARGE), (1, 4)),
    Work("PUT 4 KiB", 4 * KIB, EMPTY, fresh_puts(4 * KIB)),
    Work("PUT 1 MiB", MIB, EMPTY, repeated_puts(signed_body, MIB, 64)),
    Work("PUT 64 MiB", 64 * MIB, EMPTY, repeated_puts(signed_body, 64 * MIB, 8), (1, 4)),
    Work("PUT 64 MiB unsigned", 64 * MIB, EMPTY, repeated_puts(unsigned_body, 64 * MIB, 8), (1, 4)),
    Work(f"LIST {PAGE} of {LISTED}", 0, MANY, pages),
    Work("DELETE", 0, EMPTY, deletes),
)
