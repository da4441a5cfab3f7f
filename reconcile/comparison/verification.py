"""Whether another site holds the same as this one: asked for by operators, done in the background.

Only this says that two sites are alike, and only of the moment when they were compared.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from enum import StrEnum
from functools import partial
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import BackendError, Busy
from backends.state.holding import HeldElsewhere, holding
from backends.state.protocol import StateStore
from backends.state.transfer import every_bucket
from reconcile.comparison.compare import Difference, compare, kind_of
from reconcile.comparison.holders import HERE, StateHolder, row_there
from reconcile.comparison.recursion import Compared
from replication.client import Link, SiteClient
from replication.confirmed import confirm
from replication.documents import OWN, SHARED, Documents, value_at
from replication.ranges import listed
from replication.topology import Site, Topology

log: Final = structlog.get_logger("verify")
VERIFIED: Final = "verified/"
LOOK_SECONDS: Final = 1.0
LEASE: Final = 15_000
SETTLED: Final = 2_000
MOST: Final = 1000
SHOWN: Final = 100
AT_ONCE: Final = 16


class Standing(StrEnum):
    """How far a verification is."""

    ASKED = "asked"
    RUNNING = "running"
    ALIKE = "alike"
    DIFFERENT = "different"
    FAILED = "failed"


class Verification(Struct, frozen=True, omit_defaults=True):
    """The last one of a site. Times are in milliseconds, 0 for not yet.

    `differences` counts those that were found, up to MOST, where it stopped; `shown` are the first.
    """

    standing: Standing
    asked: int
    ended: int = 0
    buckets: int = 0
    objects: int = 0
    differences: int = 0
    shown: tuple[Difference, ...] = ()
    error: str = ""

    def with_differences(self, found: Sequence[Difference]) -> "Verification":
        """With so many more."""
        return replace(
            self,
            differences=self.differences + len(found),
            shown=(*self.shown, *found)[:SHOWN],
        )


class Verifications:
    """Runs what was asked for, in one process of the site at a time."""

    def __init__(self, state: StateStore, link: Link, topology: Callable[[], Topology]) -> None:
        self._state = state
        self._link = link
        self._topology = topology
        self._own = Documents(state, OWN)

    async def ask(self, site: str) -> Verification:
        """Let the site be compared with this one. Busy while that is being done."""
        known = await self.of(site)
        if known and known.standing in {Standing.ASKED, Standing.RUNNING}:
            raise Busy(f"{site} is being compared already")
        asked = Verification(Standing.ASKED, milliseconds())
        await self._own.put(VERIFIED + site, asked)
        return asked

    async def of(self, site: str) -> Verification | None:
        """The last one of the site; None where there was none."""
        return await value_at(self._own, VERIFIED + site, Verification, None)

    async def run(self) -> None:
        """Do what is asked for, until cancelled."""
        while True:
            try:
                for site in list(self._topology().sites.values()):
                    await self._look(site)
            except BackendError as error:
                log.warning("nothing can be compared", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, site: Site) -> None:
        known = await self.of(site.name)
        if known is None or known.ended:
            return
        try:
            async with holding(self._state, f"verify-{site.name}", lease=LEASE):
                await self._verify(site, known)
        except HeldElsewhere:
            log.debug("another process compares", site=site.name)

    async def _verify(self, site: Site, asked: Verification) -> None:
        """From the beginning: what a crash left half done is done again."""
        running, began = Verification(Standing.RUNNING, asked.asked), milliseconds()
        await self._own.put(VERIFIED + site.name, running)
        try:
            done = await self._compared(site, running)
        except BackendError as error:
            done = replace(running, standing=Standing.FAILED, error=str(error))
        if done.standing is Standing.ALIKE:
            await confirm(self._own, site.name, began - SETTLED)
        ended = replace(done, ended=milliseconds())
        await self._own.put(VERIFIED + site.name, ended)
        log.info("compared", site=site.name, standing=ended.standing, objects=ended.objects)

    def _shared(self, bucket: str, site: str) -> bool:
        """Whether both are to have it: what sites share of themselves, and buckets by the rules."""
        return bucket == SHARED or (bucket != OWN and self._topology().shares(bucket, site))

    async def _compared(self, site: Site, so_far: Verification) -> Verification:
        client = self._link.to(site.name, site.endpoint)
        async for bucket in every_bucket(self._state):
            if self._shared(bucket.name, site.name):
                so_far = replace(so_far, buckets=so_far.buckets + (bucket.name != SHARED))
                so_far = await self._with_bucket(client, bucket.name, so_far)
            if so_far.differences >= MOST:
                break
        alike = not so_far.differences
        return replace(so_far, standing=Standing.ALIKE if alike else Standing.DIFFERENT)

    async def _with_bucket(
        self, client: SiteClient, bucket: str, so_far: Verification
    ) -> Verification:
        """With a bucket more, until there are MOST differences."""
        before = milliseconds() - SETTLED
        pages = compare(StateHolder(self._state), [client], bucket, before=before)
        async with aclosing(pages):
            async for page in pages:
                so_far = replace(so_far, objects=so_far.objects + page.objects)
                wanted = self._wanted(bucket, client.name, page)
                for start in range(0, len(wanted), AT_ONCE):
                    found = await self._confirmed(client, wanted[start : start + AT_ONCE])
                    so_far = so_far.with_differences(found)
                    if so_far.differences >= MOST:
                        return so_far
        return so_far

    def _wanted(self, bucket: str, site: str, page: Compared) -> list[Difference]:
        """How the two differ on keys that both are to have."""
        topology = self._topology()
        pairs = ((key, held[HERE], held[site]) for key, held in page.unlike.items())
        return [
            Difference(kind, bucket, key, here, there)
            for key, here, there in pairs
            if (kind := kind_of(here, there)) and topology.sends(bucket, key, site)
        ]

    async def _confirmed(
        self, client: SiteClient, differences: Sequence[Difference]
    ) -> list[Difference]:
        """Those that are still there when looked at once more: replication goes on meanwhile."""
        remain = await bounded(partial(self._remains, client), differences, at_once=AT_ONCE)
        return [one for one, remains in zip(differences, remain, strict=True) if remains]

    async def _remains(self, client: SiteClient, difference: Difference) -> bool:
        bucket, key = difference.bucket, difference.key
        row = await self._state.newest(bucket, key)
        there = await row_there(client, bucket, key)
        return kind_of(listed(row) if row else None, there) is not None
