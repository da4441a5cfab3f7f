"""What makes a gateway one of several sites, wired together; without a secret none of it runs."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from backends.errors import BackendError, Unavailable
from backends.events.protocol import EventLog
from backends.events.relay import GROUP as RELAY
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from reconcile.comparison.verification import Verifications
from replication.client import Link
from replication.compression import ZSTD
from replication.documents import SHARED, Documents, value_at
from replication.federation import Federation, OurSite, identity_in
from replication.homes import Home
from replication.push import Push
from replication.remote import RemoteReader
from replication.replicator import Replicator
from replication.status import Statuses
from replication.target import Patience
from replication.topology import BUCKETS, BucketFacts, SiteState, group_of, site_in
from replication.wire import Caller, LinkOptions
from s3proxy.config import Settings
from s3proxy.events import log_of
from s3proxy.gateway.alignment import Alignment
from s3proxy.gateway.bucket_replicas import BucketReplicas
from s3proxy.gateway.homes import HomedObjects
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.remote_reads import OFF, RemoteReads
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.replication import Replication
from s3proxy.gateway.restores import Restores
from s3proxy.gateway.restoring import RestoringObjects
from s3proxy.gateway.shared_documents import SharedDocuments
from s3proxy.s3.services import Services
from s3proxy.sites.services import SiteServices
from s3proxy.sites.surface import SiteSurface
from s3proxy.storages import placement_of

log: Final = structlog.get_logger("sites")
SETTLE_SECONDS: Final = 30.0
SECOND: Final = 1000
ALONE: Final = BucketFacts("", 0)


@dataclass(frozen=True, slots=True)
class Federated:
    """The parts that face other sites."""

    link: Link
    push: Push
    alignment: Alignment
    shared: Documents
    federation: Federation
    replication: Replication
    replicator: Replicator
    verifications: Verifications
    buckets: BucketReplicas
    remote: RemoteReader
    replicas: Replicas
    reads: RemoteReads
    restores: Restores
    surface: SiteSurface

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the requests."""
        return [
            self.replicator.run(),
            self.restores.run(),
            self.verifications.run(),
            settle(self.buckets),
        ]

    def around(self, state: StateStore, services: Services) -> Services:
        """The services of a gateway that other sites hear of, and that looks there, too."""
        services = replace(
            services,
            buckets=services.buckets.telling(self.buckets),
            replication=self.replication,
        )
        objects = RestoringObjects(services.objects, state, self.remote, self.restores, self.reads)
        return replace(services, objects=HomedObjects(objects, self.replicas, self.home))

    async def home(self, bucket: str) -> Home | None:
        """The site that decides on conditional writes of a bucket; None where that is this one."""
        facts = await value_at(self.shared, BUCKETS + bucket, BucketFacts, ALONE)
        if facts.home in {"", self.link.caller.name}:
            return None
        site = await site_in(self.shared, facts.home)
        if site.state is SiteState.REMOVED:
            raise Unavailable(f"the home of {bucket}, {site.name}, was removed: name another one")
        return Home(self.link.to(site.name, site.endpoint), facts.owner)


@asynccontextmanager
async def federated(
    settings: Settings,
    state: StateStore,
    store: ObjectStore,
    objects: ObjectRules,
    replicas: Replicas,
) -> AsyncIterator[Federated | None]:
    """The parts, while the block runs; None where the settings name no secret."""
    sites = settings.sites
    if not sites.secret:
        yield None
        return
    caller = Caller(settings.site.name, await identity_in(state), sites.secret)
    link = Link(caller, options_of(settings))
    try:
        parts = parts_of(settings, state, store, objects, replicas, link)
        await parts.replicator.refresh()
        yield parts
    finally:
        await link.close()


def parts_of(
    settings: Settings,
    state: StateStore,
    store: ObjectStore,
    objects: ObjectRules,
    replicas: Replicas,
    link: Link,
) -> Federated:
    """The parts, over one pool of connections."""
    sites, caller = settings.sites, link.caller
    shared = Documents(state, SHARED)
    events = log_of(settings, state)
    push = Push(
        state,
        store,
        site=caller.name,
        part_bytes=sites.part_bytes,
        whole_bytes=sites.whole_bytes,
    )
    embedded = settings.events.kind == "embedded"
    replicator = Replicator(
        state, events, push, link, patience_of(settings), shared_log=not embedded
    )
    remote = RemoteReader(
        link,
        lambda: replicator.topology,
        probe=sites.probe_seconds,
        negative=sites.negative_seconds,
    )
    reads = RemoteReads(shared, sites.remote_read)
    looks = sites.remote_read != OFF
    buckets = BucketReplicas(state, store, shared, placement_of(settings), remote, looks=looks)
    documents = SharedDocuments(shared, buckets, replicator.refresh)
    services = SiteServices(
        name=caller.name,
        id=caller.id,
        secret=sites.secret,
        state=state,
        store=store,
        shared=shared,
        replicas=replicas,
        objects=objects,
        documents=documents,
        body_timeout=settings.server.body_seconds,
    )
    group = group_of if embedded else lambda _: RELAY
    statuses = Statuses(state, caller.name, group, exact=embedded)
    home = home_of(settings, caller, state, events, replicator)
    federation = Federation(state, link, home, push, statuses)
    surface = SiteSurface(services)
    replication = Replication(shared, statuses, lambda: replicator.topology, replicator.refresh)
    restores = Restores(replicas)
    return Federated(
        link,
        push,
        Alignment(replicas, objects, documents, buckets),
        shared,
        federation,
        replication,
        replicator,
        Verifications(state, link, lambda: replicator.topology),
        buckets,
        remote,
        replicas,
        reads,
        restores,
        surface,
    )


def home_of(
    settings: Settings,
    caller: Caller,
    state: StateStore,
    events: EventLog,
    replicator: Replicator,
) -> OurSite:
    """Our site, as the others are to know it."""

    async def keep(group: str) -> None:
        async with events.subscribe(group):
            log.info("changes are kept from now on", group=group)

    return OurSite(
        name=caller.name,
        id=caller.id,
        endpoint=settings.sites.url,
        clock=int(settings.sites.clock_seconds * SECOND),
        keep=keep,
        forget=state.unsubscribe,
        changed=replicator.refresh,
    )


def options_of(settings: Settings) -> LinkOptions:
    """How other sites are reached; our certificate is shown to those that ask for one."""
    sites = settings.sites
    context = None
    if sites.ca_file:
        context = ssl.create_default_context(cafile=sites.ca_file)
        if sites.certificate and sites.key:
            context.load_cert_chain(sites.certificate, sites.key)
    return LinkOptions(
        read_seconds=sites.timeout_seconds,
        context=context,
        compresses=sites.compression == ZSTD,
    )


def patience_of(settings: Settings) -> Patience:
    """How changes are sent again."""
    sites = settings.sites
    return Patience(
        at_once=sites.at_once,
        first=sites.retry_seconds,
        most=sites.retry_most_seconds,
        attempts=sites.attempts,
    )


async def settle(buckets: BucketReplicas) -> None:
    """Tell other sites of buckets that a crash left untold, now and then, until cancelled."""
    while True:
        try:
            await buckets.settle()
        except BackendError as error:
            log.warning("buckets will be compared again", error=str(error))
        await asyncio.sleep(SETTLE_SECONDS)
