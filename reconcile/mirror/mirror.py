"""A bucket and a plain storage, made alike while both are used: planned, applied, verified.

Each phase reads both in the order of their keys, from a checkpoint. What came after the beginning
of the job is left to the next one.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Annotated, Final

from msgspec import Meta, Struct, to_builtins
from msgspec.structs import replace

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import BucketNotFound, Refused
from backends.model import Bucket
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from reconcile.jobs.work import Checkpoint, Finding, Job, Outcome, Step, checkpoint_of, order_of
from reconcile.migration.records import place_in
from reconcile.mirror.exchange import Exchange, Exchanged, Intake
from reconcile.mirror.sides import Change, Sides, changes_in, pages
from reconcile.mirror.verdicts import REASONS, Source
from reconcile.sites.plan import Action, require_few_deletes
from reconcile.sites.reconciliation import REMAINS, Phase
from reconcile.storages.comparing import Page
from reconcile.storages.proving import Prove
from replication.documents import OWN, SYSTEM, Documents

SETTLED: Final = 2_000
APPLIED_A_STEP: Final = 64
BYTES_A_STEP: Final = 64 * 1024 * 1024
AT_ONCE: Final = 8


class MirrorOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Which bucket is to be as `storage_bucket` (by default of the same name) of that storage.

    Only keys that begin with the prefix. Where more than `max_deletes` objects would be deleted
    nothing is changed.
    """

    bucket: str
    storage: str
    storage_bucket: str = ""
    prefix: str = ""
    source: Source = Source.ANY
    max_deletes: Annotated[int, Meta(ge=0)] = 1000

    @property
    def name(self) -> str:
        """What the bucket is called there."""
        return self.storage_bucket or self.bucket


class Place(Struct, frozen=True):
    """How far it is: up to the key `after`, of what is older than `before` (milliseconds).

    `looked` keys were looked at in the first phase. `changes` and `deletes` were found in this
    one, of `total` things to do.
    """

    phase: Phase = Phase.PLAN
    after: str = ""
    before: int = 0
    looked: int = 0
    total: int | None = None
    changes: int = 0
    deletes: int = 0


class Mirror:
    """Work of the kind "mirror", over the storage of all our buckets, and `each` by its name.

    `intake` writes here what comes from there; `prove` begins the comparison of our bytes with the
    facts of their row.
    """

    kind: Final = "mirror"

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        each: Mapping[str, ObjectStore],
        intake: Intake,
        prove: Prove,
    ) -> None:
        self._state = state
        self._store = store
        self._each = each
        self._intake = intake
        self._prove = prove

    async def check(self, job: Job) -> None:
        """Refused; BucketNotFound where the storage is the source and does not have the bucket."""
        order = order_of(job, MirrorOrder)
        sides = await self._sides(order)
        if order.source is Source.STORAGE:
            await sides.there.find_bucket(sides.name)

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        """As Work."""
        order = order_of(job, MirrorOrder)
        sides = await self._sides(order)
        exchange = Exchange(sides, self._intake, self._prove)
        pass_ = _Pass(sides, exchange, order, dry_run=job.dry_run)
        following: Place | None = checkpoint_of(checkpoint, Place)
        while following is not None:
            pass_.place = await pass_.begun(following)
            async with aclosing(pass_.steps()) as steps:
                async for step in steps:
                    yield step
            following = pass_.following()
        outcome = Outcome.DIFFERENCES if pass_.place.changes else Outcome.ALIKE
        yield Step(to_builtins(pass_.place), pass_.place.phase, outcome=outcome)

    async def _sides(self, order: MirrorOrder) -> Sides:
        """Refused."""
        if order.bucket in SYSTEM:
            raise Refused(f"{order.bucket} is the system's own: name another bucket")
        if not order.storage or order.storage not in self._each:
            known = ", ".join(sorted(filter(None, self._each))) or "none"
            raise Refused(
                f"the settings name no storage {order.storage!r} under storages; named are: {known}"
            )
        await self._require_foreign(order.storage, order.name)
        there = self._each[order.storage]
        return Sides(self._state, self._store, await self._bucket(order.bucket), there, order.name)

    async def _bucket(self, name: str) -> Bucket:
        try:
            return await self._state.bucket(name)
        except BucketNotFound as error:
            raise Refused(
                f"there is no bucket {name} here: use `ccs adopt` or `ccs migrate`,"
                " or create it first"
            ) from error

    async def _require_foreign(self, storage: str, name: str) -> None:
        """Return unless the bucket there is one of ours, whose bytes only clients may change."""
        with suppress(BucketNotFound):
            place = await place_in(self._state, Documents(self._state, OWN), name)
            if storage in place.storages and not place.gone:
                raise Refused(
                    f"the bucket {name} of this gateway lies in {storage}: name another"
                    " storage, or another bucket of it"
                )


class _Pass:
    """One run of a job, at its `place`."""

    def __init__(
        self, sides: Sides, exchange: Exchange, order: MirrorOrder, *, dry_run: bool
    ) -> None:
        self._sides = sides
        self._exchange = exchange
        self._order = order
        self._dry_run = dry_run
        self.place = Place()

    async def begun(self, place: Place) -> Place:
        """The place, with what is settled when the job begins."""
        if place.before:
            return place
        if not self._dry_run:
            await self._make_bucket()
        return replace(place, before=milliseconds() - SETTLED)

    def following(self) -> Place | None:
        """Where it goes on behind a phase; None where that was the last. Refused."""
        place = self.place
        if place.phase is Phase.VERIFY or self._dry_run or not place.changes:
            return None
        begun = Place(before=place.before, looked=place.looked)
        if place.phase is Phase.APPLY:
            return replace(begun, phase=Phase.VERIFY, total=place.looked)
        self._require_few_deletes()
        return replace(begun, phase=Phase.APPLY, total=place.changes)

    async def steps(self) -> AsyncGenerator[Step, None]:
        """Those of the phase, from the place on."""
        found = pages(self._sides, self._order.prefix, self.place.after, lacking=self._dry_run)
        async with aclosing(found):
            async for page in found:
                async for step in self._looked(page):
                    yield step

    async def _looked(self, page: Page) -> AsyncGenerator[Step, None]:
        """What is not alike, some a step; the last step says that all of the page is done."""
        changes = await changes_in(self._sides, page.pairs, self._order.source, self.place.before)
        applies = self.place.phase is Phase.APPLY
        for some in batches(changes) if applies else filter(None, [changes]):
            yield await self._step(some)
        last = page.pairs[-1].key if page.pairs else self.place.after
        looked = len(page.pairs) if self.place.phase is Phase.PLAN else 0
        self.place = replace(self.place, after=page.next or last, looked=self.place.looked + looked)
        yield self._told(0 if applies else len(page.pairs))

    async def _step(self, changes: Sequence[Change]) -> Step:
        place = self.place
        self.place = replace(
            place,
            after=changes[-1].pair.key,
            changes=place.changes + len(changes),
            deletes=place.deletes + sum(change.verdict.removes for change in changes),
        )
        if place.phase is not Phase.APPLY:
            return self._told(0, self._lines(changes))
        self._require_few_deletes()
        done = await bounded(self._exchange.apply, changes, at_once=AT_ONCE)
        lines = [self._applied(one) for one in done]
        return self._told(len(done), lines, sum(one.moved for one in done))

    def _lines(self, changes: Sequence[Change]) -> list[Finding]:
        """A plan that is applied tells when it is."""
        if self.place.phase is Phase.PLAN and not self._dry_run:
            return []
        result = REMAINS if self.place.phase is Phase.VERIFY else ""
        return [replace(finding_of(self._order, one), result=result) for one in changes]

    def _applied(self, one: Exchanged) -> Finding:
        line = finding_of(self._order, one.change)
        return replace(line, result=one.result, detail=one.detail or line.detail)

    def _require_few_deletes(self) -> None:
        require_few_deletes(self.place.deletes, self._order.max_deletes)

    async def _make_bucket(self) -> None:
        """See that there is a bucket to compare with. BucketNotFound where that is the source."""
        there, name = self._sides.there, self._sides.name
        try:
            await there.find_bucket(name)
        except BucketNotFound:
            if self._order.source is Source.STORAGE:
                raise
            await there.create_bucket(replace(self._sides.bucket, name=name, storage=""))

    def _told(self, done: int, lines: Sequence[Finding] = (), moved: int = 0) -> Step:
        place = self.place
        return Step(to_builtins(place), place.phase, done, moved, place.total, tuple(lines))


def batches(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Not too many changes at once, nor too many bytes; one that is large is alone."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        if batch and (len(batch) == APPLIED_A_STEP or size + change.size > BYTES_A_STEP):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += change.size
    if batch:
        yield batch


def finding_of(order: MirrorOrder, change: Change) -> Finding:
    """The line of a report."""
    (key, row, stored), (kind, action, giver) = change
    changing = "here" if giver is Source.STORAGE else order.storage
    kept = action is Action.KEEP
    return Finding(
        kind=kind,
        bucket=order.bucket,
        key=key,
        action=action,
        detail=REASONS[kind] if kept else "",
        size=change.size,
        site="" if kept else changing,
        here=str(row.version) if row else "",
        there=_named(stored.facts.etag, str(stored.facts.version), stored.ours) if stored else "",
    )


def _named(etag: str, version: str, ours: bool) -> str:
    return version if ours else etag
