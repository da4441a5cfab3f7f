"""The composition root: the only file that knows and wires every part."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from backends.state.protocol import StateStore
from backends.state.sqlite import SQLiteState
from backends.storage.local import LocalStore
from backends.storage.protocol import ObjectStore
from s3proxy import health, logs, workers
from s3proxy.access import Access
from s3proxy.config import Settings
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.listing import Listing
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.recovery import Recovery, Retention
from s3proxy.gateway.uploads import Uploads
from s3proxy.gateway.writes import Writes
from s3proxy.metrics import Metrics
from s3proxy.s3.endpoint import Endpoint, Wire
from s3proxy.s3.services import Services

SECOND = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Gateway:
    """What one process serves: the S3 data plane and the operators' application."""

    s3: Endpoint
    operations: Starlette


def state_of(settings: Settings) -> StateStore:
    """Open the state store that the settings name."""
    data = prepared(settings.storage.data)
    return SQLiteState.open(
        data / "state.db", site=settings.site.name, durable=settings.storage.durable
    )


def store_of(settings: Settings) -> ObjectStore:
    """Open the storage that the settings name."""
    data = prepared(settings.storage.data)
    return LocalStore.open(data / "storage", durable=settings.storage.durable)


def prepared(folder: Path) -> Path:
    """The data folder, made if need be, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Open what the settings name, and run the workers, while the block runs."""
    logs.configure(settings.log.level, settings.log.format)
    state, store = state_of(settings), store_of(settings)
    discards = Discards(state, store)
    recovery = Recovery(state, store, discards, retention_of(settings))
    try:
        async with workers.running(
            discards, recovery, state, seconds=settings.state.recovery_seconds
        ):
            services = services_of(settings, state, store, discards)
            metrics = Metrics()
            checks = {"state": state.ping, "storage": store.ping}
            yield Gateway(
                Endpoint(services, wire_of(settings), metrics),
                health.operations(checks, metrics.render),
            )
    finally:
        await store.close()
        await state.close()


def services_of(
    settings: Settings, state: StateStore, store: ObjectStore, discards: Discards
) -> Services:
    """The rules of a gateway over one state and one storage."""
    lease = int(settings.state.lease_seconds * SECOND)
    writes = Writes(state, store, discards, lease=lease)
    return Services(
        access=Access(state),
        buckets=Buckets(state, store),
        objects=Objects(state, store, writes, discards),
        uploads=Uploads(state, store, writes),
        listing=Listing(state),
        region=settings.s3.region,
        body_timeout=settings.server.body_seconds,
    )


def wire_of(settings: Settings) -> Wire:
    """How the endpoint reads requests."""
    s3 = settings.s3
    return Wire(
        domains=tuple(domain.lower() for domain in s3.domains),
        sigv2=s3.sigv2,
        region=s3.region if s3.pin_region else None,
        log_requests=settings.log.requests,
    )


def retention_of(settings: Settings) -> Retention:
    """How long recovery waits for what."""
    expiry = settings.s3.upload_expiry_days
    return Retention(
        intents=int(settings.state.lease_seconds * SECOND),
        tombstones=int(settings.state.tombstone_hours * HOUR),
        uploads=int(expiry * DAY) if expiry else None,
    )
