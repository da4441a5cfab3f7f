"""How far the sites have come: lag and backlog by site and bucket, and the state of one object.

Nothing here says that sites are alike: that takes a comparison. It says what is known to lack.
"""

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from backends.clock import milliseconds
from backends.model import Event, Row
from backends.state.protocol import StateStore
from replication.backfill import Checkpoint, progress
from replication.documents import OWN, Documents
from replication.figures import FRESH, TARGETS, Figures
from replication.parked import Parking
from replication.topology import Site, SiteState, Topology

SECOND: Final = 1000
MARGIN: Final = SECOND
PAGE: Final = 1000
MOST: Final = 100_000
TRUSTED_SECONDS: Final = 0.5


class ObjectStatus(StrEnum):
    """Of one object, as S3 tells it in x-amz-replication-status."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REPLICA = "REPLICA"


class Backlog(Struct):
    """Changes that are still to be sent, at least; `oldest` is when the first was made, or 0."""

    objects: int = 0
    bytes: int = 0
    oldest: int = 0

    def add(self, event: Event) -> None:
        """One change more."""
        self.objects += 1
        self.bytes += event.size
        made = event.made
        self.oldest = min(self.oldest or made, made)

    def lag(self, now: int) -> float:
        """Seconds since the oldest was made."""
        return max(0, now - self.oldest) / SECOND if self.oldest else 0.0


class BucketStatus(Struct, frozen=True):
    """What one bucket still has to send to a site."""

    bucket: str
    lag_seconds: float
    backlog: int
    backlog_bytes: int


class TargetStatus(Struct, frozen=True):
    """How replication from here to one site stands. Times are in milliseconds, 0 for never.

    `backfilled` objects were sent of those that were here before the site was added; `filling` says
    that more of them are to come.
    """

    site: str
    state: SiteState
    endpoint: str
    lag_seconds: float
    backlog: int
    backlog_bytes: int
    in_flight: int
    done: int
    bytes: int
    stale: int
    failures: int
    dead_letters: int
    objects_per_second: float
    bytes_per_second: float
    last_success: int
    last_error: str
    filling: bool
    backfilled: int
    buckets: tuple[BucketStatus, ...] = ()


class Statuses:
    """Answers from what the processes of this site have written down."""

    def __init__(
        self, state: StateStore, home: str, group: Callable[[str], str], *, exact: bool
    ) -> None:
        """`group` names the consumer group whose unread events wait for a site.

        `exact`: whether all that waits is there; with a broker, some is under way in it.
        """
        self._state = state
        self.home = home
        self._group = group
        self._exact = exact
        self._own = Documents(state, OWN)
        self._parking = Parking(self._own)
        self._oldest: dict[str, tuple[float, int]] = {}

    async def of(self, sites: Sequence[Site]) -> list[TargetStatus]:
        """Of every site that is not this one."""
        return [await self._of(site) for site in sites if site.name != self.home]

    async def pending(self, site: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        """Changes that wait for the site, with numbers above `after`."""
        return await self._state.unread(self._group(site), after=after, limit=limit)

    async def object_status(self, row: Row, topology: Topology) -> ObjectStatus | None:
        """Of one object; None where it goes to no site."""
        if row.version.site != self.home:
            return ObjectStatus.REPLICA
        targets = [
            site.name
            for site in topology.sites.values()
            if site.name != self.home
            and site.state is not SiteState.REMOVED
            and topology.sends(row.bucket, row.key, site.name)
        ]
        for site in targets:
            if await self._parking.holds(site, row.bucket, row.key):
                return ObjectStatus.FAILED
        for site in targets:
            if row.version.milliseconds >= await self._all_sent_before(site):
                return ObjectStatus.PENDING
        return ObjectStatus.COMPLETED if targets else None

    async def _of(self, site: Site) -> TargetStatus:
        now = milliseconds()
        figures = await self._figures(site.name)
        fresh = [one for one in figures if one.taken >= now - FRESH]
        whole, by_bucket = await self._backlog(self._group(site.name))
        ages = [one.oldest for one in fresh if one.oldest] + (
            [whole.oldest] if whole.oldest else []
        )
        filled = await progress(self._own, site.name) or Checkpoint(done=True)
        latest = max(figures, key=lambda one: one.taken, default=Figures())
        return TargetStatus(
            site=site.name,
            state=site.state,
            endpoint=site.endpoint,
            lag_seconds=max(0, now - min(ages)) / SECOND if ages else 0.0,
            backlog=whole.objects,
            backlog_bytes=whole.bytes,
            in_flight=sum(one.in_flight for one in fresh),
            done=sum(one.done for one in figures),
            bytes=sum(one.bytes for one in figures),
            stale=sum(one.stale for one in figures),
            failures=sum(one.failures for one in figures),
            dead_letters=len(await self._parking.of(site.name)),
            objects_per_second=sum(one.objects_per_second for one in fresh),
            bytes_per_second=sum(one.bytes_per_second for one in fresh),
            last_success=max((one.last_success for one in figures), default=0),
            last_error=latest.last_error,
            filling=not filled.done,
            backfilled=filled.sent,
            buckets=tuple(
                BucketStatus(name, one.lag(now), one.objects, one.bytes)
                for name, one in sorted(by_bucket.items())
            ),
        )

    async def _figures(self, site: str) -> list[Figures]:
        return await self._own.values(f"{TARGETS}{site}/", Figures)

    async def _backlog(self, group: str) -> tuple[Backlog, dict[str, Backlog]]:
        """In all and by bucket, up to MOST changes."""
        whole = Backlog()
        by_bucket: dict[str, Backlog] = {}
        after = 0
        while whole.objects < MOST and (
            page := await self._state.unread(group, after=after, limit=PAGE)
        ):
            for _, event in page:
                whole.add(event)
                by_bucket.setdefault(event.bucket, Backlog()).add(event)
            after = page[-1][0]
        return whole, by_bucket

    async def _all_sent_before(self, site: str) -> int:
        """All changes made before that time, in milliseconds, have been sent."""
        until, oldest = self._oldest.get(site, (0.0, 0))
        if time.monotonic() >= until:
            oldest = await self._look(site)
            self._oldest[site] = (time.monotonic() + TRUSTED_SECONDS, oldest)
        return oldest

    async def _look(self, site: str) -> int:
        now = milliseconds()
        unread = await self._state.unread(self._group(site), after=0, limit=1)
        times = [event.made - MARGIN for _, event in unread]
        if not self._exact:
            times += _sent_before(await self._figures(site), now)
        filled = await progress(self._own, site)
        if filled and not filled.done:
            return 0
        return min(times, default=now)


def _sent_before(figures: Sequence[Figures], now: int) -> list[int]:
    """What replicators that read from a broker say; where none is alive, all waits since."""
    fresh = [one for one in figures if one.taken >= now - FRESH]
    if not fresh:
        return [max((one.taken for one in figures), default=0) - MARGIN]
    return [(one.oldest or one.taken) - 2 * MARGIN for one in fresh]
