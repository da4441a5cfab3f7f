"""Several sites on this machine, each a process of its own, with links that can fail between."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError

from tests.e2e.server import Server
from tests.e2e.waiting import until
from tests.services.faults import Link
from tests.services.process import free_port

SECRET: Final = "a-secret-that-all-sites-share-0123456789"
JOIN_SECONDS: Final = 30
CAUGHT_UP_SECONDS: Final = 60
QUICK: Final = {
    "CCS_STATE__LEASE_SECONDS": "3",
    "CCS_STATE__RECOVERY_SECONDS": "0.5",
    "CCS_SITES__RETRY_MOST_SECONDS": "1",
    "CCS_SITES__TIMEOUT_SECONDS": "5",
}
Content = dict[tuple[str, str], tuple[str, bool, str]]


@dataclass
class Member:
    """One site: its server, and the link that the others reach it by."""

    name: str
    server: Server
    link: Link

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """What the operators' API answers; AssertionError where it refuses."""
        key = (self.server.data / "operator.key").read_text().strip()
        request = urllib.request.Request(
            f"{self.server.admin}/v1{path}",
            data=json.dumps(body).encode() if body is not None else None,
            method=method,
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except HTTPError as error:
            raise AssertionError(f"{path}: {error.code}: {error.read().decode()}") from error
        return json.loads(text) if text else None

    def states(self) -> dict[str, str]:
        """The sites it knows, and their states."""
        return {site["name"]: site["state"] for site in self.call("GET", "/sites")["sites"]}

    def knows(self, names: set[str]) -> bool:
        """Whether these are the sites it knows."""
        return self.states().keys() == names

    def status(self, site: str) -> dict[str, Any]:
        """How replication to that site stands."""
        found: dict[str, Any] = self.call("GET", f"/sites/{site}/status")
        return found

    def content(self, bucket: str) -> Content:
        """All rows of the bucket in a SQLite state: version, tombstone or not, ETag, by key."""
        live = "SELECT bucket, key, stamp, site, etag FROM objects WHERE bucket = ?"
        dead = "SELECT bucket, key, stamp, site FROM tombstones WHERE bucket = ?"
        file = f"file:{self.server.data / 'state.db'}?mode=ro"
        with closing(sqlite3.connect(file, uri=True, timeout=10)) as state:
            rows: Content = {
                (in_bucket, key): (f"{stamp:x}-{site}", True, "")
                for in_bucket, key, stamp, site in state.execute(dead, (bucket,))
            }
            for in_bucket, key, stamp, site, etag in state.execute(live, (bucket,)):
                rows[in_bucket, key] = (f"{stamp:x}-{site}", False, etag)
        return rows


def sends(member: Member, other: str) -> bool:
    """Whether a process of the member sends to the other one, as its metrics tell."""
    with urllib.request.urlopen(f"{member.server.operations}/metrics") as answer:
        return f'ccs_replication_in_flight{{site="{other}"}}' in answer.read().decode()


@dataclass
class Group:
    """Sites that know each other."""

    members: list[Member] = field(default_factory=list)

    def __getitem__(self, index: int) -> Member:
        return self.members[index]

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def join(self) -> None:
        """Make all known to the first, and wait until each knows all."""
        for member in self.members[1:]:
            self[0].call("POST", "/sites", {"endpoint": member.link.url})
        names = {member.name for member in self}
        for member in self:
            until(partial(member.knows, names), f"{member.name} to know all", JOIN_SECONDS)

    def alike(self, bucket: str) -> bool:
        """Whether all hold the same rows, tombstones included."""
        first, *others = [member.content(bucket) for member in self]
        return all(other == first for other in others)

    def until_alike(self, bucket: str, seconds: float = CAUGHT_UP_SECONDS) -> None:
        """Wait until all hold the same; AssertionError tells where they differ."""
        try:
            until(lambda: self.alike(bucket), f"{bucket} to be alike everywhere", seconds)
        except AssertionError:
            first, *others = [member.content(bucket) for member in self]
            for other in others:
                assert other == first
            raise


@contextmanager
def sites(
    folder: Path,
    names: Sequence[str],
    settings: Mapping[str, Mapping[str, str]] | None = None,
    *,
    joined: bool = True,
) -> Iterator[Group]:
    """Such sites, running while the block does; `settings` by name, beside those all have."""
    group = Group()
    try:
        for name in names:
            group.members.append(member(folder, name, (settings or {}).get(name, {})))
        for one in group:
            one.link.start()
            one.server.start()
        if joined:
            group.join()
        yield group
    finally:
        for one in group:
            one.server.kill()
            one.link.close()


def member(folder: Path, name: str, settings: Mapping[str, str]) -> Member:
    """A site that is not started yet."""
    link = Link(free_port())
    own = {
        "CCS_SITE__NAME": name,
        "CCS_SITES__SECRET": SECRET,
        "CCS_SITES__PORT": str(link.target),
        "CCS_SITES__ENDPOINT": link.url,
        "CCS_ADMIN__PORT": str(free_port()),
    }
    return Member(name, Server(folder / name, settings={**QUICK, **own, **settings}), link)
