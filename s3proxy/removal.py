"""What goes by itself, wired together: what crashes left, old tombstones, objects that expire."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from backends.state.derived import DerivedState
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from reconcile.expiry import Expiry
from replication.confirmed import Confirmations
from replication.expiry import ExpiryRules
from s3proxy import workers
from s3proxy.config import Settings
from s3proxy.expiry_metrics import ExpiryGauges
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.endings import Endings
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.recovery import Recovery, Retention
from s3proxy.gateway.tombstones import Tombstones
from s3proxy.gateway.writes import Writes

SECOND: Final = 1000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
LONGEST_LOOK_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Removal:
    """The parts; nothing expires without a state, which is what remembers when."""

    state: StateStore
    recovery: Recovery
    recovery_seconds: float
    tombstones: Tombstones
    expiry: Expiry | None
    expiry_seconds: float

    @property
    def rules(self) -> ExpiryRules | None:
        return self.expiry.rules if self.expiry else None

    @property
    def gauges(self) -> ExpiryGauges:
        return ExpiryGauges(self.tombstones, self.expiry)

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the requests."""
        recovering = workers.recover(self.recovery, self.state, self.recovery_seconds)
        if self.expiry is None:
            return [recovering]
        return [recovering, workers.expire(self.expiry, self.state, self.expiry_seconds)]


def removal_of(
    settings: Settings,
    state: StateStore,
    store: ObjectStore,
    writes: Writes,
    discards: Discards,
    objects: Objects,
) -> Removal:
    """The parts over what a gateway has open."""
    keep = retention_of(settings)
    tombstones = tombstones_of(settings, state, keep)
    return Removal(
        state,
        Recovery(state, store, discards, keep, tombstones),
        settings.state.recovery_seconds,
        tombstones,
        expiry_of(settings, state, Endings(state, writes, discards, objects)),
        min(LONGEST_LOOK_SECONDS, settings.expiry.hours * HOUR / SECOND),
    )


def tombstones_of(settings: Settings, state: StateStore, keep: Retention) -> Tombstones:
    """What removes tombstones; where there are other sites, when each has confirmed them."""
    sites = settings.sites
    if not sites.secret:
        return Tombstones(state, keep.tombstones)
    confirmations = Confirmations(
        state,
        settings.site.name,
        clock=int(sites.clock_seconds * SECOND),
        in_order=settings.events.kind == "embedded",
    )
    return Tombstones(state, keep.tombstones, confirmations.by_site)


def expiry_of(settings: Settings, state: StateStore, endings: Endings) -> Expiry | None:
    """What ends objects."""
    if isinstance(state, DerivedState):
        return None
    return Expiry(
        state,
        ExpiryRules(state),
        endings,
        settings.site.name,
        one_of_several=bool(settings.sites.secret),
        every=int(settings.expiry.hours * HOUR),
        rows_per_second=settings.expiry.rows_per_second,
    )


def retention_of(settings: Settings) -> Retention:
    """How long recovery waits for what."""
    expiry = settings.s3.upload_expiry_days
    return Retention(
        intents=int(settings.state.lease_seconds * SECOND),
        tombstones=int(settings.state.tombstone_hours * HOUR),
        uploads=int(expiry * DAY) if expiry else None,
    )
