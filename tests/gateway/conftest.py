"""The rules over a real state and a real storage, on a clock that the test sets."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backends.clock import milliseconds
from backends.model import ENDS, Checksum, Facts, Version
from backends.state.sqlite import SQLiteState
from backends.storage.local import LocalStore
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.listing import Listing
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.recovery import Recovery, Retention
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.uploads import Uploads
from s3proxy.gateway.writes import Writes

LEASE = 60_000
FACTS = Facts(version=Version(0, ""), owner="main")


@dataclass
class Body:
    """An Incoming whose bytes are given."""

    data: bytes
    etag: str = "etag"
    checksum: Checksum | None = None
    received: int = 0

    @property
    def size(self) -> int:
        return len(self.data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), 100_000):
            block = self.data[at : at + 100_000]
            self.received += len(block)
            yield block


@dataclass
class House:
    """Everything that the rules stand on, and the rules."""

    folder: Path
    ahead: int = 0
    keeps_replaced: bool = True
    state: SQLiteState = field(init=False)
    store: LocalStore = field(init=False)

    def __post_init__(self) -> None:
        self.state = SQLiteState.open(
            self.folder / "state.db", site="here", durable=False, now=self.now
        )
        self.store = LocalStore.open(
            self.folder / "storage", durable=False, keeps_replaced=self.keeps_replaced
        )
        self.discards = Discards(self.state, self.store)
        writes = Writes(self.state, self.store, self.discards, lease=LEASE)
        self.buckets = Buckets(self.state, self.store)
        self.objects = Objects(self.state, self.store, writes, self.discards)
        self.uploads = Uploads(self.state, self.store, writes)
        self.replicas = Replicas(self.state, self.store, writes, self.discards)
        self.listing = Listing(self.state)
        self.recovery = Recovery(
            self.state, self.store, self.discards, Retention(LEASE, LEASE, LEASE)
        )

    def now(self) -> int:
        return milliseconds() + self.ahead

    async def read(self, bucket: str, key: str) -> bytes:
        reading = await self.objects.read(bucket, key, lambda _: None)
        return b"".join([block async for block in reading.body])

    async def stored(self, bucket: str) -> list[str]:
        return [stored.key async for stored in self.store.listing(bucket)]

    def segments(self) -> list[Path]:
        return [path for path in (self.folder / "storage").rglob("*/*") if path.is_file()]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async for built in _lived_in(House(tmp_path)):
        yield built


@pytest.fixture
async def overwriting(tmp_path: Path) -> AsyncIterator[House]:
    """The same over a storage that overwrites in place."""
    async for built in _lived_in(House(tmp_path, keeps_replaced=False)):
        yield built


@pytest.fixture(params=[True, False], ids=["keeps replaced", "overwrites"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Each of them, where a group follows events: it hears of what clients do, and no other."""
    async for built in _lived_in(House(tmp_path, keeps_replaced=request.param)):
        await built.state.subscribe("group")
        yield built
        told = await built.state.unread("group", after=0, limit=100)
        assert {event.version.site.removeprefix(ENDS) for _, event in told} <= {"here"}


async def _lived_in(built: House) -> AsyncIterator[House]:
    await built.buckets.create("photos", "main", "")
    yield built
    await built.store.close()
    await built.state.close()
