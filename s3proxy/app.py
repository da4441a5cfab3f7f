"""The composition root: the only file that knows and wires every part."""

import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from backends.errors import BucketNotFound
from backends.events.relay import Relay
from backends.state.completing import Completing
from backends.state.derived import DerivedState
from backends.state.protocol import StateStore
from backends.storage.addresses import Place
from backends.storage.layers.metered import Meter
from backends.storage.layers.placed import Locate
from backends.storage.protocol import ObjectStore
from reconcile.migration import records as migration
from replication.documents import OWN, Documents
from replication.messages import REGION
from s3proxy import buffers, events, health, logs, workers
from s3proxy.access import Access
from s3proxy.administration import admin_of
from s3proxy.config import Settings
from s3proxy.events import relay_of
from s3proxy.federated import Federated, federated
from s3proxy.first_key import OWNER
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.listing import Listing
from s3proxy.gateway.objects import ObjectRules, Objects
from s3proxy.gateway.pulling import PullingObjects, Pulls
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.uploads import Uploads
from s3proxy.gateway.writes import Writes
from s3proxy.job_metrics import JobGauges
from s3proxy.listeners import ADMIN, OPERATIONS, S3, SITE, Application
from s3proxy.metrics import Metrics
from s3proxy.reconciling import Reconciling, reconciling_of
from s3proxy.removal import Removal, removal_of
from s3proxy.s3.endpoint import Endpoint, Wire
from s3proxy.s3.services import Services
from s3proxy.s3.surface import S3Surface
from s3proxy.s3.verified import Checks
from s3proxy.site_metrics import SiteGauges
from s3proxy.states import open_state
from s3proxy.storages import Storages, placement_of, storages_of

CHECKS: Final = {
    "all": Checks(checksums=True, md5_up_to=sys.maxsize),
    "cheap": Checks(checksums=True, md5_up_to=1024 * 1024),
    "none": Checks(),
}
SECOND = 1000


@dataclass(frozen=True, slots=True)
class Gateway:
    """What one process serves: S3, metrics and health, the operators' API, S3 to other sites."""

    s3: Endpoint
    operations: Application
    state: StateStore
    admin: Application | None = None
    site: Application | None = None

    @property
    def applications(self) -> dict[str, Application]:
        """Those that there are, by the name of their listener."""
        optional = {ADMIN: self.admin, SITE: self.site}
        found = {name: application for name, application in optional.items() if application}
        return {S3: self.s3, OPERATIONS: self.operations, **found}


@asynccontextmanager
async def grounds(settings: Settings) -> AsyncIterator[tuple[StateStore, ObjectStore]]:
    """The state and the storage that the settings name, open while the block runs."""
    async with opened(settings) as (state, storages):
        yield state, storages.store


@asynccontextmanager
async def opened(
    settings: Settings, meter: Meter | None = None
) -> AsyncIterator[tuple[StateStore, Storages]]:
    """The same, with what lies around the storages; `meter` is told what those do."""
    data = prepared(settings.storage.data)
    if settings.state.kind == "none":
        storages = storages_of(settings, nowhere, meter)
        state: StateStore = DerivedState(
            storages.store, data / "keys.json", site=settings.site.name, owner=OWNER
        )
    else:
        known = await open_state(settings)
        storages = storages_of(settings, place_in(known), meter)
        state = Completing(known, storages.store)
    try:
        yield state, storages
    finally:
        await storages.store.close()
        await state.close()


def place_in(state: StateStore) -> Locate:
    """Where buckets lie, as the state remembers it."""
    own = Documents(state, OWN)

    async def locate(bucket: str) -> Place:
        return await migration.place_in(state, own, bucket)

    return locate


async def nowhere(bucket: str) -> Place:
    """Without a state nobody remembers where buckets lie."""
    raise BucketNotFound(f"there is no bucket {bucket}")


def prepared(folder: Path) -> Path:
    """The data folder, made if need be, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one gateway, over one state and its storages.

    `pulls` make the rows of objects that have none yet, where a state keeps rows.
    """

    state: StateStore
    storages: Storages
    discards: Discards
    writes: Writes
    objects: Objects
    replicas: Replicas
    removal: Removal
    pulls: Pulls | None

    @property
    def store(self) -> ObjectStore:
        return self.storages.store

    @property
    def seen(self) -> ObjectRules:
        """Those of objects for all who ask from outside: with what has no row yet."""
        return PullingObjects(self.objects, self.pulls) if self.pulls else self.objects


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Open what the settings name, and run the workers, while the block runs."""
    logs.configure(settings.log.level, settings.log.format)
    metrics = Metrics()
    async with opened(settings, metrics) as (state, storages):
        rules = rules_of(settings, state, storages)
        relay = relay_of(settings, state)
        if relay:
            await relay.subscribe()
        async with federated(settings, state, rules.store, rules.seen, rules.replicas) as sites:
            jobs = await reconciling_of(settings, state, storages, rules.writes, rules.seen, sites)
            works = works_of(rules, relay, sites, jobs)
            async with workers.running(works):
                watch(metrics, rules, relay, sites, jobs)
                yield await serving(settings, rules, metrics, relay, sites, jobs)


def rules_of(settings: Settings, state: StateStore, storages: Storages) -> Rules:
    """What every surface stands on."""
    store = storages.store
    discards = Discards(state, store)
    writes = Writes(state, store, discards, lease=int(settings.state.lease_seconds * SECOND))
    objects = objects_of(settings, state, store, writes, discards)
    kept = not isinstance(state, DerivedState)
    pulls = Pulls(state, store, storages.each) if kept else None
    replicas = Replicas(state, store, writes, discards, pulls)
    removal = removal_of(settings, state, store, writes, discards, objects)
    return Rules(state, storages, discards, writes, objects, replicas, removal, pulls)


def works_of(
    rules: Rules,
    relay: Relay | None,
    sites: Federated | None,
    jobs: Reconciling | None,
) -> list[Coroutine[Any, Any, None]]:
    """What goes on beside the requests."""
    return [
        rules.discards.run(),
        *rules.removal.works(),
        *map(workers.flush, rules.storages.buffers.values()),
        *([relay.run()] if relay else ()),
        *(sites.works() if sites else ()),
        *(jobs.works() if jobs else ()),
    ]


def watch(
    metrics: Metrics,
    rules: Rules,
    relay: Relay | None,
    sites: Federated | None,
    jobs: Reconciling | None,
) -> None:
    """Let the metrics tell of all parts."""
    metrics.watch(buffers.Gauges(rules.storages.buffers))
    metrics.watch(rules.removal.gauges)
    if relay:
        metrics.watch(events.Gauges(relay.figures))
    if sites:
        metrics.watch(SiteGauges(sites.replicator.counters))
    if jobs:
        metrics.watch(JobGauges(lambda: jobs.runner.active))


async def serving(
    settings: Settings,
    rules: Rules,
    metrics: Metrics,
    relay: Relay | None,
    sites: Federated | None,
    jobs: Reconciling | None,
) -> Gateway:
    """The applications of all listeners."""
    state, storages = rules.state, rules.storages
    services = services_of(settings, rules)
    if sites:
        services = sites.around(state, services)
    return Gateway(
        s3=Endpoint(S3Surface(services), wire_of(settings), metrics),
        operations=health.operations(
            {"state": state.ping, "storage": rules.store.ping},
            metrics.render,
            partial(buffers.told, storages.buffers),
            partial(events.told, relay),
        ),
        state=state,
        admin=await admin_of(
            settings,
            state,
            storages,
            jobs.ledger if jobs else None,
            sites.federation if sites else None,
            sites.verifications if sites else None,
            jobs.standings if jobs and sites else None,
            rules.removal.rules,
        ),
        site=Endpoint(sites.surface, Wire(region=REGION), metrics) if sites else None,
    )


def objects_of(
    settings: Settings, state: StateStore, store: ObjectStore, writes: Writes, discards: Discards
) -> Objects:
    """The rules of objects over one state and one storage."""
    fetch = state.fetch if isinstance(state, DerivedState) else None
    several = bool(settings.sites.secret)
    foreign = writes.in_place and fetch is None
    return Objects(
        state,
        store,
        writes,
        discards,
        fetch,
        buries_unknown=several or foreign,
        keeps_etags=fetch is None,
    )


def services_of(settings: Settings, rules: Rules) -> Services:
    """The rules of a gateway, as the wire stands on them."""
    state, store = rules.state, rules.store
    return Services(
        access=Access(state),
        buckets=Buckets(state, store, placement_of(settings), pulls=rules.pulls),
        objects=rules.seen,
        uploads=Uploads(state, store, rules.writes, rules.pulls),
        listing=Listing(state),
        region=settings.s3.region,
        body_timeout=settings.server.body_seconds,
        checks=checks_of(settings, store),
        expiry=rules.removal.rules,
    )


def checks_of(settings: Settings, store: ObjectStore) -> Checks:
    """How bodies are checked on their way out: those that come over a network.

    Without state the ETags of S3 storages are their own: not always an MD5 of the bytes.
    """
    backends = [settings.storage, *settings.storages.values()]
    remote = any(backend.kind != "local" for backend in backends)
    if not remote:
        return Checks()
    foreign = settings.state.kind == "none" and store.capabilities.etag_is_locator
    chosen = CHECKS[settings.s3.verify_reads]
    return chosen._replace(md5_up_to=0) if foreign else chosen


def wire_of(settings: Settings) -> Wire:
    """How the endpoint reads requests."""
    s3 = settings.s3
    return Wire(
        domains=tuple(domain.lower() for domain in s3.domains),
        sigv2=s3.sigv2,
        region=s3.region if s3.pin_region else None,
        log_requests=settings.log.requests,
    )
