"""The jobs of a gateway: which kinds of work there are, over what it has open."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from backends.state.derived import DerivedState
from backends.state.protocol import StateStore
from reconcile.comparison.standing import Standings
from reconcile.jobs.ledger import Ledger
from reconcile.jobs.runner import Runner
from reconcile.jobs.schedule import Recurring, Schedule
from reconcile.jobs.work import Work
from reconcile.migration.migrate import Migrate
from reconcile.mirror.mirror import Mirror
from reconcile.sites.apply import Applier
from reconcile.sites.drill import Drill
from reconcile.sites.reconciliation import Reconciliation
from reconcile.sites.walk import Walk
from reconcile.storages.adopt import Adopt
from reconcile.storages.scrub import Scrub
from replication.documents import OWN, Documents
from replication.parked import Parking
from s3proxy.config import Settings
from s3proxy.federated import Federated
from s3proxy.first_key import OWNER
from s3proxy.gateway.intake import Intake
from s3proxy.gateway.lost import LostObjects
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.relocations import Relocations
from s3proxy.gateway.writes import Writes
from s3proxy.reconcile_config import HOUR, MINUTE
from s3proxy.s3.proofs import WholeProof
from s3proxy.sites_config import ALONE
from s3proxy.storages import Storages

SECOND = 1000


@dataclass(frozen=True, slots=True)
class Reconciling:
    """The jobs there are, what runs them, and what starts some by itself."""

    ledger: Ledger
    runner: Runner
    schedule: Schedule
    standings: Standings

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the requests."""
        return [self.runner.run(), self.schedule.run()]


async def reconciling_of(
    settings: Settings,
    state: StateStore,
    storages: Storages,
    writes: Writes,
    objects: ObjectRules,
    sites: Federated | None,
) -> Reconciling | None:
    """The parts over one state, in which jobs are kept; None where there is no state."""
    if isinstance(state, DerivedState):
        return None
    own = Documents(state, OWN)
    await own.prepare()
    standings = Standings(own)
    kinds = [
        *works_here(state, storages, writes, objects, sites),
        *works_between(settings, state, sites, standings),
    ]
    works = {work.kind: work for work in kinds}
    absent = {} if sites else dict.fromkeys((Reconciliation.kind, Drill.kind), ALONE)
    ledger = Ledger(own, works, absent)
    return Reconciling(
        ledger,
        Runner(state, ledger, works),
        Schedule(state, own, ledger, recurring_of(settings, sites)),
        standings,
    )


def works_here(
    state: StateStore,
    storages: Storages,
    writes: Writes,
    objects: ObjectRules,
    sites: Federated | None,
) -> list[Work]:
    """What is done with our own storages; other sites are told, and asked for what is lost."""
    tell = sites.buckets.made if sites else None
    lost = LostObjects(sites.remote, sites.replicas) if sites else None
    return [
        Adopt(state, storages.store, storages.each, owner=OWNER, tell=tell),
        Scrub(state, storages.store, storages.each, lost, WholeProof),
        Migrate(state, storages.each, Relocations(state, storages.each, writes)),
        Mirror(state, storages.store, storages.each, Intake(objects), WholeProof),
    ]


def works_between(
    settings: Settings, state: StateStore, sites: Federated | None, standings: Standings
) -> list[Work]:
    """What is done with other sites; nothing where there are none."""
    if sites is None:
        return []
    home = settings.site.name
    walk = Walk(
        home,
        state,
        sites.link,
        lambda: sites.replicator.topology,
        sites.replicator.refresh,
        keep=int(settings.state.tombstone_hours * HOUR * SECOND) // 2,
    )
    parking = Parking(Documents(state, OWN))
    applier = Applier(home, state, sites.alignment, sites.push, walk.client, parking)
    return [Reconciliation(home, walk, applier, standings), Drill(home, state, walk)]


def recurring_of(settings: Settings, sites: Federated | None) -> list[Recurring]:
    """What starts by itself, as the settings ask."""
    wanted = settings.reconcile
    found = []
    if wanted.verify_minutes and sites:
        order = {"max_deletes": wanted.max_deletes}
        every = wanted.verify_minutes * MINUTE
        found.append(Recurring("reconcile", every, order, dry_run=not wanted.heal))
    if wanted.scrub_hours:
        order_of_scrub = {"deep": wanted.scrub_deep}
        found.append(Recurring("scrub", wanted.scrub_hours * HOUR, order_of_scrub))
    return found
