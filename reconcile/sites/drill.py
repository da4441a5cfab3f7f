"""What would be lost if a site were, and how long refilling it would take. Changes nothing."""

import random
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import BackendError, BucketNotFound
from backends.model import Row
from backends.state.protocol import StateStore
from reconcile.jobs.work import Checkpoint, Finding, Job, Outcome, Step, checkpoint_of, order_of
from reconcile.sites.plan import Change
from reconcile.sites.walk import Order, Walk, Walked
from replication.client import SiteClient
from replication.documents import SHARED

SAMPLED: Final = 200
SAMPLE_SECONDS: Final = 10.0
AT_ONCE: Final = 16
PAGE: Final = 1000
COMPARE: Final = "compare"
MEASURE: Final = "measure"
SUMMARY: Final = "SUMMARY"
Place = tuple[str, str]


class DrillOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """`without` is the site that is thought away; buckets by names or patterns."""

    without: str
    buckets: tuple[str, ...] = ("*",)


class Tally(Struct, frozen=True):
    """How far a drill is, and what it knows: objects, and bytes, of each sort.

    `lost` are nowhere else; of the `older` others have an earlier version; `undone` are deletes
    that nobody else knows of. `kept` are those that a refill has to bring, `sample` some of them.
    """

    phase: str = COMPARE
    bucket: str = ""
    after: str = ""
    before: int = 0
    lost: int = 0
    lost_bytes: int = 0
    older: int = 0
    older_bytes: int = 0
    undone: int = 0
    kept: int = 0
    kept_bytes: int = 0
    sample: tuple[Place, ...] = ()


class Measured(NamedTuple):
    """So many objects and bytes were read, in so many seconds."""

    objects: int
    moved: int
    seconds: float


class Drill:
    """Work of the kind "drill", done by any site: the one that is thought away, too."""

    kind: Final = "drill"

    def __init__(self, home: str, state: StateStore, walk: Walk) -> None:
        self._home = home
        self._state = state
        self._walk = walk

    async def check(self, job: Job) -> None:
        """Refused, NotFound."""
        order = order_of(job, DrillOrder)
        await self._walk.require(Order(order.buckets))
        if order.without != self._home:
            self._walk.client(order.without)

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        """As Work."""
        order, tally = order_of(job, DrillOrder), checkpoint_of(checkpoint, Tally)
        tally = tally if tally.before else replace(tally, before=milliseconds())
        await self._walk.refresh()
        run = _Run(self._home, self._state, self._walk, order, tally)
        if tally.phase == COMPARE:
            async for step in run.compared():
                yield step
            run.tally = replace(run.tally, phase=MEASURE, bucket="", after="")
        async for step in run.measured():
            yield step
        yield await run.concluded()


class _Run:
    """One drill, at its `tally`."""

    def __init__(
        self, home: str, state: StateStore, walk: Walk, order: DrillOrder, tally: Tally
    ) -> None:
        self._state = state
        self._walk = walk
        self._without = order.without
        self._order = Order(order.buckets)
        self._home = home
        self.tally = tally

    async def compared(self) -> AsyncGenerator[Step, None]:
        """Finds what other sites have not, key by key."""
        place = self.tally
        walk = self._walk.since(
            self._order, place.bucket, place.after, place.before, by_rules=False
        )
        async for walked in walk:
            if walked.bucket == SHARED:
                continue
            sorts = [self._sort(walked, changes) for changes in walked.changes]
            lines = tuple(line for line in sorts if line)
            counted = with_lines(self.tally, lines)
            self.tally = replace(counted, bucket=walked.bucket, after=walked.upto)
            yield Step(to_builtins(self.tally), COMPARE, walked.objects, findings=lines)

    def _sort(self, walked: Walked, changes: Sequence[Change]) -> Finding | None:
        """What would become of a key; None where another site has what is the newest."""
        survivors = {self._home, *walked.sites} - {self._without}
        lacking = {change.site: change for change in changes}
        key, best = changes[0].key, changes[0].best
        if changes[0].winner != self._without or not survivors <= lacking.keys():
            return None
        left = [row for site in survivors if (row := lacking[site].there) and not row.deleted]
        kind = "UNDONE" if best.deleted else "OLDER" if left else "LOST"
        there = max((row.version for row in left), default="")
        return Finding(kind, walked.bucket, key, size=best.size, here=best.version, there=there)

    async def measured(self) -> AsyncGenerator[Step, None]:
        """Counts what a refill has to bring, page by page."""
        place = self.tally
        for bucket in await self._walk.buckets(self._order):
            if bucket < place.bucket or bucket == SHARED:
                continue
            after = place.after if bucket == place.bucket else ""
            while rows := await self._page(bucket, after):
                after = rows[-1].key
                self.tally = replace(with_rows(self.tally, rows), bucket=bucket, after=after)
                yield Step(to_builtins(self.tally), MEASURE, len(rows))

    async def _page(self, bucket: str, after: str) -> list[Row]:
        try:
            return await self._state.inventory(bucket, after=after, limit=PAGE)
        except BucketNotFound:
            return []

    async def concluded(self) -> Step:
        """Reads a sample, and sums up."""
        tally, peer = self.tally, self._peer()
        measured = await sampled(self._state, peer, tally.sample)
        lines = tuple(
            Finding(SUMMARY, "", "", site=self._without, detail=detail)
            for detail in (*losses(self._without, tally), refill(tally, measured, peer.name))
        )
        lost = tally.lost or tally.older or tally.undone
        outcome = Outcome.DIFFERENCES if lost else Outcome.ALIKE
        return Step(
            to_builtins(tally), MEASURE, moved=measured.moved, findings=lines, outcome=outcome
        )

    def _peer(self) -> SiteClient:
        """The site that is read from: one that is left, or else the one that is to be refilled."""
        sites = self._walk.sites(Order())
        left = [site for name, site in sites.items() if name != self._without]
        return next(iter(left or sites.values()))


def with_lines(tally: Tally, lines: Sequence[Finding]) -> Tally:
    """The tally with what was found of some keys."""
    sizes = {kind: [line.size for line in lines if line.kind == kind] for kind in ("LOST", "OLDER")}
    return replace(
        tally,
        lost=tally.lost + len(sizes["LOST"]),
        lost_bytes=tally.lost_bytes + sum(sizes["LOST"]),
        older=tally.older + len(sizes["OLDER"]),
        older_bytes=tally.older_bytes + sum(sizes["OLDER"]),
        undone=tally.undone + sum(line.kind == "UNDONE" for line in lines),
    )


def with_rows(tally: Tally, rows: Sequence[Row]) -> Tally:
    """The tally with a page more; each object has the same chance to be in the sample."""
    sample, seen, size = list(tally.sample), tally.kept, tally.kept_bytes
    for row in rows:
        if row.deleted:
            continue
        seen, size = seen + 1, size + row.facts.size
        at = len(sample) if len(sample) < SAMPLED else random.randrange(seen)
        if at < SAMPLED:
            sample[at : at + 1] = [(row.bucket, row.key)]
    return replace(tally, sample=tuple(sample), kept=seen, kept_bytes=size)


async def sampled(state: StateStore, site: SiteClient, places: Sequence[Place]) -> Measured:
    """Reads objects from the site, some at once, for some seconds at the most."""
    began = time.monotonic()
    objects = moved = 0
    for at in range(0, len(places), AT_ONCE):
        if time.monotonic() - began > SAMPLE_SECONDS:
            break
        sizes = await bounded(
            lambda place: read(state, site, place), places[at : at + AT_ONCE], at_once=AT_ONCE
        )
        objects += sum(size is not None for size in sizes)
        moved += sum(size or 0 for size in sizes)
    return Measured(objects, moved, time.monotonic() - began)


async def read(state: StateStore, site: SiteClient, place: Place) -> int | None:
    """How many bytes the site sent of an object; None where it has it not, or not so."""
    moved = 0
    try:
        row = await state.find(*place)
        async with site.read(*place, row.version, start=0, length=0) as blocks:
            async for block in blocks:
                moved += len(block)
    except BackendError:
        return None
    return moved


def losses(without: str, tally: Tally) -> list[str]:
    """What would be lost, in words."""
    return [
        f"without {without}, {tally.lost} objects ({tally.lost_bytes} bytes) would be lost:"
        " they are nowhere else",
        f"{tally.older} objects ({tally.older_bytes} bytes) would fall back to an older version",
        f"{tally.undone} deletes would be undone",
    ]


def refill(tally: Tally, measured: Measured, peer: str) -> str:
    """How long it takes to bring all of it, as quickly as the sample was read."""
    whole = f"a refill brings {tally.kept} objects ({tally.kept_bytes} bytes)"
    if not measured.objects:
        return f"{whole}; how long that takes is not known: no object could be read from {peer}"
    seconds = measured.seconds * tally.kept / measured.objects
    rate = measured.moved / measured.seconds
    return (
        f"{whole}, in about {seconds:.0f} s: {measured.objects} objects were read from {peer}"
        f" at {measured.objects / measured.seconds:.0f} objects/s, {rate:.0f} bytes/s"
    )
