"""A gateway whose bucket moves between two storages, and what the tests of that have in common."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from typing import Any

from backends.clock import milliseconds
from backends.model import Bucket, Facts, Row, Version
from backends.state.sqlite import SQLiteState
from backends.storage.addresses import Place, parsed
from backends.storage.layers.placed import Placed
from backends.storage.protocol import ObjectStore
from reconcile.jobs.work import START, Checkpoint, Job, Step
from reconcile.migration.migrate import Migrate
from reconcile.migration.migrations import KIND, Migrations
from reconcile.migration.records import place_in
from replication.documents import OWN, Documents
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.recovery import Recovery, Retention
from s3proxy.gateway.relocations import Relocations
from s3proxy.gateway.uploads import Uploads
from s3proxy.gateway.writes import Writes
from tests.gateway.conftest import FACTS, LEASE, Body

BUCKET = "photos"
LARGE = bytes(range(256)) * 1500


@dataclass
class Orders:
    """Jobs that were ordered."""

    jobs: list[Job] = field(default_factory=list)

    async def start(
        self,
        kind: str,
        order: Mapping[str, Any],
        *,
        objects_per_second: float,
        bytes_per_second: float,
    ) -> Job:
        job = Job(
            f"{kind}-{len(self.jobs)}",
            kind,
            milliseconds(),
            dict(order),
            objects_per_second=objects_per_second,
            bytes_per_second=bytes_per_second,
        )
        self.jobs.append(job)
        return job


class Process:
    """One process of the gateway; it asks where buckets lie when `trusted_seconds` are over."""

    def __init__(
        self, state: SQLiteState, stores: Mapping[str, ObjectStore], *, trusted_seconds: float = 0
    ) -> None:
        own = Documents(state, OWN)

        async def locate(bucket: str) -> Place:
            return await place_in(state, own, bucket)

        self.state = state
        self.store = Placed(stores, locate, remembered=True, trusted_seconds=trusted_seconds)
        self.discards = Discards(state, self.store)
        self.writes = Writes(state, self.store, self.discards, lease=LEASE)
        self.buckets = Buckets(state, self.store)
        self.objects = Objects(state, self.store, self.writes, self.discards)
        self.uploads = Uploads(state, self.store, self.writes)
        self.recovery = Recovery(
            state, self.store, self.discards, Retention(LEASE, 10 * LEASE, None)
        )

    async def put(self, key: str, data: bytes) -> Row:
        return await self.objects.put(BUCKET, key, Body(data, etag_of(data)), FACTS, "1")

    async def read(self, key: str) -> bytes:
        reading = await self.objects.read(BUCKET, key, lambda _: None)
        return b"".join([block async for block in reading.body])

    async def delete(self, key: str) -> None:
        await self.objects.delete(BUCKET, key, "1")

    async def contents(self) -> dict[str, bytes]:
        """Every object that a client sees."""
        rows = await self.state.inventory(BUCKET, after="", limit=1000)
        return {row.key: await self.read(row.key) for row in rows if not row.deleted}


class House:
    """A state, the storages `near` and `far`, and a process of the gateway over them."""

    def __init__(self, database: Path, near: ObjectStore, far: ObjectStore) -> None:
        self.ahead = 0
        self.state = SQLiteState.open(database, site="here", durable=False, now=self.now)
        self.stores: dict[str, ObjectStore] = {"near": near, "far": far}
        self.orders = Orders()
        self.here = self.process()
        self.migrations = Migrations(self.state, self.stores, self.orders)
        self.relocations = Relocations(self.state, self.stores, self.here.writes)
        self.work = Migrate(self.state, self.stores, self.relocations, known_seconds=0)

    def now(self) -> int:
        return milliseconds() + self.ahead

    def process(self, *, trusted_seconds: float = 0) -> Process:
        return Process(self.state, self.stores, trusted_seconds=trusted_seconds)

    async def make(self) -> None:
        await Documents(self.state, OWN).prepare()
        await self.make_bucket()

    async def make_bucket(self) -> None:
        bucket = Bucket(BUCKET, "main", milliseconds(), storage="near")
        await self.here.store.create_bucket(bucket)
        await self.state.create_bucket(bucket)

    async def steps(
        self, checkpoint: Checkpoint = START, *, deep: bool = False, bucket: str = BUCKET
    ) -> AsyncGenerator[Step, None]:
        """What the job does."""
        order = {"bucket": bucket, "deep": deep}
        async for step in self.work.run(Job("job", KIND, 0, order), checkpoint):
            yield step

    async def run(self, *, deep: bool = False) -> list[Step]:
        """The job, to its end."""
        steps = [step async for step in self.steps(deep=deep)]
        await self.here.discards.settle(older_than=-1)
        return steps

    async def keys_in(self, storage: str) -> list[str]:
        """What a storage has, whatever rows say."""
        return [stored.key async for stored in self.stores[storage].listing(BUCKET)]

    async def storages(self) -> dict[str, str]:
        """Where the rows say that their bytes are."""
        rows = await self.state.inventory(BUCKET, after="", limit=1000)
        return {row.key: parsed(row.locator, "near").storage for row in rows if not row.deleted}


def etag_of(data: bytes) -> str:
    return md5(data).hexdigest()


def facts_of(data: bytes, version: Version) -> Facts:
    return Facts(version, len(data), etag_of(data), owner="main")
