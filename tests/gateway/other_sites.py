"""Other sites, as far as remote reads know them: what they have is given."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from backends.errors import BackendError, NotFound
from backends.model import Facts, Version
from replication.client import Link, SiteClient
from replication.messages import Found
from replication.topology import Site, Topology
from replication.wire import Caller, LinkOptions

STEP = 100_000


@dataclass
class Having:
    """What a site has of any key; how often it was asked for facts, and for bytes.

    It sends `unasked` bytes more than it was asked for.
    """

    data: bytes = b""
    found: Found = field(default_factory=Found)
    fails: BackendError | None = None
    unasked: int = 0
    asked: int = 0
    read: int = 0


class OtherSite(SiteClient):
    """A site that needs no network."""

    def __init__(self, name: str, having: Having) -> None:
        self._name = name
        self._having = having

    @property
    def name(self) -> str:
        return self._name

    async def find(self, bucket: str, key: str) -> Found:
        del bucket, key
        self._having.asked += 1
        if self._having.fails:
            raise self._having.fails
        return self._having.found

    @asynccontextmanager
    async def read(
        self, bucket: str, key: str, version: Version, *, start: int, length: int
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        having = self._having
        having.read += 1
        if having.found.facts is None or having.found.facts.version != version:
            raise NotFound(f"{bucket}/{key}")
        yield _blocks(having, start, start + length + having.unasked)


class OtherSites(Link):
    """The sites of these names."""

    def __init__(self, sites: dict[str, Having]) -> None:
        super().__init__(Caller("here", "id", "secret"), LinkOptions())
        self._sites = sites

    def to(self, name: str, endpoint: str) -> SiteClient:
        del endpoint
        return OtherSite(name, self._sites[name])

    def topology(self) -> Topology:
        return Topology({name: Site(name, f"http://{name}") for name in self._sites})


def having(data: bytes, facts: Facts) -> Having:
    return Having(data, Found(facts))


async def _blocks(of: Having, start: int, end: int) -> AsyncGenerator[bytes, None]:
    for at in range(start, end, STEP):
        yield of.data[at : min(end, at + STEP)]
