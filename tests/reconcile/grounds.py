"""A bucket that other programs made, in a storage of any kind, and the rules of a gateway on it."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import to_builtins

from backends.clock import milliseconds
from backends.model import Bucket, Facts, Row, Version
from backends.state.completing import Completing
from backends.state.protocol import StateStore
from backends.state.sqlite import SQLiteState
from backends.state.transfer import inventory
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.gcs import GCSOptions, GCSStore
from backends.storage.local import LocalStore
from backends.storage.protocol import ObjectStore
from backends.storage.s3 import S3Options, S3Store
from reconcile.jobs.work import START, Checkpoint, Finding, Job, Outcome, Step, Work
from replication.documents import OWN, Documents
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.writes import Writes
from tests.gateway.conftest import Body
from tests.services.foreign import AzureWriter, Foreign, GCSWriter, S3Writer, Writer
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY, S3_ACCESS, S3_SECRET

LEASE: Final = 60_000
REQUESTED: Final = Facts(Version(0, ""), owner="main")


def _s3(service: Service) -> ObjectStore:
    return S3Store(S3Options(service.url, access_key=S3_ACCESS, secret_key=S3_SECRET))


def _azure(service: Service) -> ObjectStore:
    url = f"{service.url}/{AZURE_ACCOUNT}"
    return AzureStore(AzureOptions(account_url=url, account_key=AZURE_KEY))


def _gcs(service: Service) -> ObjectStore:
    return GCSStore(GCSOptions(project="test", endpoint=service.url, anonymous=True))


Kind = tuple[str, Callable[[Service], Writer], Callable[[Service], ObjectStore]]
KINDS: Final[Mapping[str, Kind]] = {
    "s3": ("versitygw", S3Writer, _s3),
    "azure": ("azurite", AzureWriter, _azure),
    "gcs": ("fake_gcs", GCSWriter, _gcs),
}


@dataclass
class Site:
    """A bucket, and the rules of a gateway over a state and a storage."""

    bucket: str
    known: SQLiteState
    store: ObjectStore

    def __post_init__(self) -> None:
        self.state: StateStore = Completing(self.known, self.store)
        self.discards = Discards(self.state, self.store)
        self.writes = Writes(self.state, self.store, self.discards, lease=LEASE)
        self.objects = Objects(
            self.state, self.store, self.writes, self.discards, buries_unknown=True
        )
        self.replicas = Replicas(self.state, self.store, self.writes, self.discards)

    @property
    def each(self) -> dict[str, ObjectStore]:
        """The storages by name."""
        return {"": self.store}

    async def make(self) -> None:
        """Make the bucket in both."""
        bucket = Bucket(self.bucket, "main", 1)
        await self.store.create_bucket(bucket)
        await self.known.create_bucket(bucket)

    async def put_here(self, key: str, data: bytes) -> Row:
        """Write as a client."""
        body = Body(data, md5(data, usedforsecurity=False).hexdigest())
        return await self.objects.put(self.bucket, key, body, REQUESTED, "1")

    async def rows(self) -> list[Row]:
        """All rows as they are in the state, not completed."""
        return [row async for page in inventory(self.known, self.bucket) for row in page]

    async def stored(self) -> list[tuple[str, int, str]]:
        """All that lies in the bucket."""
        listing = self.store.listing(self.bucket)
        return [(one.key, one.size, one.locator) async for one in listing]

    async def read(self, key: str) -> bytes:
        reading = await self.objects.read(self.bucket, key, lambda _: None)
        return b"".join([block async for block in reading.body])


@dataclass
class Ground(Site):
    """A state that knows nothing yet, and a storage with a bucket that `writer` made."""

    writer: Writer

    def put(self, *things: Foreign) -> None:
        """Write as another program."""
        for thing in things:
            self.writer.put(self.bucket, thing)

    def replace(self, thing: Foreign) -> None:
        """Write in the place of what is there."""
        self.writer.replace(self.bucket, thing)

    def delete(self, key: str) -> None:
        """Delete as another program."""
        self.writer.delete(self.bucket, key)


@asynccontextmanager
async def opened(request: pytest.FixtureRequest, folder: Path, kind: str) -> AsyncIterator[Ground]:
    """The ground of that kind, with an empty bucket."""
    fixture, writer_of, store_of = KINDS[kind]
    service: Service = request.getfixturevalue(fixture)
    known = SQLiteState.open(folder / "state.db", site="here", durable=False)
    ground = Ground(f"b-{uuid.uuid4().hex}", known, store_of(service), writer_of(service))
    ground.writer.make(ground.bucket)
    await Documents(known, OWN).prepare()
    yield ground
    await ground.store.close()
    await known.close()


@asynccontextmanager
async def on_disk(folder: Path) -> AsyncIterator[Site]:
    """A site over local disk, with its bucket made."""
    known = SQLiteState.open(folder / "state.db", site="here", durable=False)
    site = Site("films", known, LocalStore.open(folder / "disk", durable=False))
    await site.make()
    yield site
    await site.store.close()
    await known.close()


@dataclass
class Ran:
    """What a job did."""

    steps: list[Step]

    @property
    def outcome(self) -> Outcome | None:
        return self.steps[-1].outcome

    @property
    def findings(self) -> list[Finding]:
        return [finding for step in self.steps for finding in step.findings]

    def done(self, phase: str) -> int:
        return sum(step.done for step in self.steps if step.phase == phase)


def job_of(kind: str, *, dry_run: bool = False, created: int = 0, **order: Any) -> Job:
    return Job("job-1", kind, created or milliseconds(), order, dry_run=dry_run)


async def run(work: Work, job: Job, checkpoint: Checkpoint = START) -> Ran:
    """The job from that checkpoint to its end."""
    await work.check(job)
    steps = [step async for step in work.run(job, checkpoint)]
    assert all(to_builtins(step.checkpoint) == step.checkpoint for step in steps)
    return Ran(steps)
