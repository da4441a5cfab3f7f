"""Sites made alike while traffic goes on: planned, applied, verified.

Each phase walks the same way, from a checkpoint: ranges that differ, key by key. Rows newer than
the phase's cutoff are left to replication.
"""

from collections.abc import AsyncGenerator, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import Refused
from reconcile.comparison.standing import Standings
from reconcile.jobs.work import Checkpoint, Finding, Job, Outcome, Step, checkpoint_of, order_of
from reconcile.sites.apply import Applied, Applier, Result
from reconcile.sites.plan import Action, Change, finding_of, require_few_deletes
from reconcile.sites.walk import Order, Walk, Walked

SETTLED: Final = 2_000
APPLIED_A_STEP: Final = 256
BYTES_A_STEP: Final = 128 * 1024 * 1024
LOOKED_A_STEP: Final = 1000
AT_ONCE: Final = 32
PAUSES: Final = (0.0, 0.5, 2.0)  # what was rewritten is still on its way to others
REMAINS: Final = "REMAINS"
COPIES: Final = frozenset({Action.COPY, Action.REWRITE})


class Phase(StrEnum):
    """What a reconciliation is at."""

    PLAN = "plan"
    APPLY = "apply"
    VERIFY = "verify"


class Place(Struct, frozen=True):
    """How far it is: up to `after` in `bucket`, of rows older than `before` (milliseconds).

    `changes` and `deletes` were found in this phase, of `total` things to look at; `unlike` are
    those of this bucket, by site. `seen` are the sites that took part in all so far. `sites` are
    those that are meant.
    """

    phase: Phase = Phase.PLAN
    bucket: str = ""
    after: str = ""
    before: int = 0
    total: int = 0
    changes: int = 0
    deletes: int = 0
    unlike: dict[str, int] = {}
    seen: tuple[str, ...] | None = None
    sites: tuple[str, ...] = ()


class Reconciliation:
    """Work of the kind "reconcile": this site and others, both ways, or from one source."""

    kind: Final = "reconcile"

    def __init__(self, home: str, walk: Walk, applier: Applier, standings: Standings) -> None:
        self._home = home
        self._walk = walk
        self._applier = applier
        self._standings = standings

    async def check(self, job: Job) -> None:
        """Refused, NotFound."""
        await self._walk.require(order_of(job, Order))

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        """As Work."""
        pass_ = _Pass(self._home, self._walk, self._applier, self._standings, job)
        place = checkpoint_of(checkpoint, Place)
        await self._walk.refresh()
        following: Place | None = place
        while following is not None:
            pass_.place = await pass_.begun(following)
            async for step in pass_.steps():
                yield step
            following = pass_.following()
        outcome = Outcome.DIFFERENCES if pass_.place.changes else Outcome.ALIKE
        if outcome is Outcome.ALIKE:
            await pass_.confirm()
        yield Step(to_builtins(pass_.place), pass_.place.phase, outcome=outcome)


class _Pass:
    """One run of a job, at its `place`."""

    def __init__(
        self, home: str, walk: Walk, applier: Applier, standings: Standings, job: Job
    ) -> None:
        self._home = home
        self._walk = walk
        self._applier = applier
        self._standings = standings
        self._dry_run = job.dry_run
        self._order = order_of(job, Order)
        self.place = Place()

    async def begun(self, place: Place) -> Place:
        """The place, with what is settled when a phase begins."""
        if place.before:
            return place
        total = place.total or await self._walk.count(self._order)
        sites = place.sites or tuple(self._walk.sites(self._order))
        return replace(place, before=milliseconds() - SETTLED, total=total, sites=sites)

    def following(self) -> Place | None:
        """Where it goes on behind a phase; None where that was the last. Refused."""
        place = self.place
        if place.phase is Phase.VERIFY or self._dry_run or not place.changes:
            return None
        if place.phase is Phase.APPLY:
            return Place(Phase.VERIFY, sites=place.sites)
        self._require_few_deletes()
        return Place(Phase.APPLY, total=place.changes, sites=place.sites)

    async def steps(self) -> AsyncGenerator[Step, None]:
        """Those of the phase, from the place on."""
        place = self.place
        walked = self._walk.since(self._order, place.bucket, place.after, place.before)
        async for one in walked:
            self._require_sites()
            if one.bucket != self.place.bucket:
                self.place = replace(self.place, bucket=one.bucket, after="", unlike={})
            self.place = replace(self.place, seen=_both(self.place.seen, one.sites))
            async for step in self._looked(one):
                yield step
            if one.is_last:
                await self._tell(one)

    async def _looked(self, walked: Walked) -> AsyncGenerator[Step, None]:
        """Some keys a step; the last step says that all up to there is done."""
        keys = walked.changes
        if keys and self.place.phase is Phase.VERIFY:
            keys = await self._walk.confirmed(self._order, walked, pauses=PAUSES)
        elif keys and self._dry_run:
            keys = await self._walk.confirmed(self._order, walked)
        most = APPLIED_A_STEP if self.place.phase is Phase.APPLY else LOOKED_A_STEP
        while keys:
            some = few(keys, most)
            yield await self._step(some)
            keys = keys[len(some) :]
        self.place = replace(self.place, after=walked.upto)
        looked = 0 if self.place.phase is Phase.APPLY else walked.objects
        yield self._told(looked)

    async def _step(self, keys: Sequence[Sequence[Change]]) -> Step:
        self._count([change for changes in keys for change in changes])
        self.place = replace(self.place, after=keys[-1][0].key)
        if self.place.phase is not Phase.APPLY:
            return self._told(0, self._lines(keys))
        self._require_few_deletes()
        applied = await bounded(self._apply, keys, at_once=AT_ONCE)
        done = [one for ones in applied for one in ones]
        return self._told(len(done), [self._line(one) for one in done], _moved(done))

    async def _apply(self, changes: Sequence[Change]) -> list[Applied]:
        return await self._applier.apply(self.place.bucket, changes)

    def _lines(self, keys: Sequence[Sequence[Change]]) -> list[Finding]:
        """A plan that is applied tells when it is."""
        if self.place.phase is Phase.PLAN and not self._dry_run:
            return []
        result = REMAINS if self.place.phase is Phase.VERIFY else ""
        lines = (finding_of(self.place.bucket, one, self._home) for ones in keys for one in ones)
        return [replace(line, result=result) for line in lines]

    def _line(self, applied: Applied) -> Finding:
        line = finding_of(self.place.bucket, applied.change, self._home)
        return replace(line, result=applied.result, detail=applied.detail or line.detail)

    def _count(self, changes: Sequence[Change]) -> None:
        place = self.place
        unlike = dict(place.unlike)
        for change in changes:
            site = change.site if change.site != self._home else change.winner
            unlike[site] = unlike.get(site, 0) + 1
        deletes = sum(change.removes for change in changes)
        self.place = replace(
            place,
            changes=place.changes + len(changes),
            deletes=place.deletes + deletes,
            unlike=unlike,
        )

    async def confirm(self) -> None:
        """Write down that the sites are alike, where all was looked at that any of them has."""
        order = self._order
        if order.is_everything and self._walk.sends_deletes():
            await self._standings.alike(self.place.seen or (), self.place.before)

    def _require_sites(self) -> None:
        """Refused where one that is meant takes part no more: nothing can be said of it."""
        gone = set(self.place.sites) - set(self._walk.sites(self._order))
        if gone:
            raise Refused(
                f"{', '.join(sorted(gone))} was paused or removed meanwhile: resume the site, then"
                " the job, or start another one"
            )

    def _require_few_deletes(self) -> None:
        require_few_deletes(self.place.deletes, self._order.max_deletes)

    def _told(self, done: int, lines: Sequence[Finding] = (), moved: int = 0) -> Step:
        place = self.place
        return Step(to_builtins(place), place.phase, done, moved, place.total, tuple(lines))

    async def _tell(self, walked: Walked) -> None:
        """What was applied has to be looked at again."""
        if self.place.phase is not Phase.APPLY and not self._order.prefix:
            place = self.place
            await self._standings.tell(walked.bucket, walked.sites, place.unlike, place.before)


def _both(seen: Sequence[str] | None, sites: Sequence[str]) -> tuple[str, ...]:
    """The sites that took part before, and do now."""
    return tuple(sites if seen is None else [site for site in seen if site in sites])


def few(keys: Sequence[Sequence[Change]], most: int) -> Sequence[Sequence[Change]]:
    """The first of the keys: so many at the most, and not many bytes to copy; one at least."""
    size = 0
    for number, changes in enumerate(keys[:most]):
        size += sum(change.best.size for change in changes)
        if number and size > BYTES_A_STEP:
            return keys[:number]
    return keys[:most]


def _moved(applied: Sequence[Applied]) -> int:
    """Bytes that were copied."""
    copied = [
        one.change.best.size
        for one in applied
        if one.result is Result.APPLIED and one.change.action in COPIES
    ]
    return sum(copied)
