"""One site's state against its own storages: lost, unknown and changed bytes, found and mended.

Rows are never removed, and bytes that no gateway of ours wrote never are.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Final

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from backends.errors import AccessDenied, BucketNotFound, Refused
from backends.model import Bucket
from backends.ranges import range_of
from backends.state.found import PAGE
from backends.state.protocol import StateStore
from backends.state.transfer import every_bucket
from backends.storage.protocol import ObjectStore
from reconcile.comparison.counting import objects_in
from reconcile.jobs.patterns import is_pattern, matches
from reconcile.jobs.work import Checkpoint, Finding, Job, Outcome, Step, checkpoint_of, order_of
from reconcile.storages.comparing import Difference, Ground, differences, page_at
from reconcile.storages.proving import Prove, proved
from reconcile.storages.remedies import MENDED, Remedies, Restores, Unknown
from replication.documents import SYSTEM

DEEP_PAGE: Final = 200
SCRUBBING: Final = "scrubbing"


class ScrubOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """What to look at: buckets by their names or patterns, or all; keys by a prefix.

    `deep` reads all bytes and compares their digests. `unknown`: what is done about bytes that no
    row names; those that are removed are leftovers of our own writes alone.
    """

    buckets: list[str] = []
    prefix: str = ""
    deep: bool = False
    unknown: Unknown = Unknown.REPORT

    def wants(self, bucket: str) -> bool:
        """Whether that bucket is to be looked at."""
        if bucket in SYSTEM:
            return False
        return not self.buckets or matches(bucket, self.buckets)


class ScrubCheckpoint(Struct, frozen=True, omit_defaults=True):
    """All before `bucket`, and in it all up to the key `after`, was looked at; or all of it.

    `left` differences were not mended.
    """

    bucket: str = ""
    after: str = ""
    ended: bool = False
    swept: bool = False
    left: int = 0

    def remains(self, bucket: str) -> bool:
        """Whether there is something left to do in that bucket."""
        return bucket > self.bucket or (bucket == self.bucket and not self.ended)

    def told(self, findings: tuple[Finding, ...]) -> "ScrubCheckpoint":
        """The checkpoint with these in mind, too."""
        left = sum(finding.result not in MENDED for finding in findings)
        return replace(self, left=self.left + left)


class Scrub:
    """The work of kind `scrub`, over all storages as one, and `each` by its name.

    `restores` gets back what was lost, None where there are no other sites; `prove` begins the
    comparison of bytes with the facts of their row.
    """

    kind = "scrub"

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        each: Mapping[str, ObjectStore],
        restores: Restores | None,
        prove: Prove,
        *,
        page: int = PAGE,
    ) -> None:
        self._state = state
        self._store = store
        self._each = each
        self._restores = restores
        self._prove = prove
        self._page = page

    async def check(self, job: Job) -> None:
        order = order_of(job, ScrubOrder)
        named = [name for name in order.buckets if not is_pattern(name)]
        for name in named:
            if name in SYSTEM:
                raise Refused(f"{name} is the system's own: name other buckets")
            await self._state.bucket(name)

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        order, at = order_of(job, ScrubOrder), checkpoint_of(checkpoint, ScrubCheckpoint)
        if not at.swept:
            findings = () if job.dry_run else await self._swept()
            at = replace(at, swept=True)
            yield Step(_told(at), "sweeping", findings=findings)
            yield Step(_told(at), SCRUBBING, total=await self._total(order))
        async for bucket in every_bucket(self._state):
            if not order.wants(bucket.name) or not at.remains(bucket.name):
                continue
            after = at.after if bucket.name == at.bucket else ""
            at = replace(at, bucket=bucket.name, after=after, ended=False)
            steps = self._bucket(job, order, bucket, at)
            try:
                async with aclosing(steps):
                    async for step in steps:
                        at = checkpoint_of(step.checkpoint, ScrubCheckpoint)
                        yield step
            except BucketNotFound:
                if await self._has(bucket.name):
                    raise
        findings = () if order.prefix else await self._unknown_buckets(order)
        at = at.told(findings)
        outcome = Outcome.DIFFERENCES if at.left else Outcome.ALIKE
        yield Step(_told(at), SCRUBBING, findings=findings, outcome=outcome)

    async def _total(self, order: ScrubOrder) -> int:
        within = range_of(order.prefix)
        names = [one.name async for one in every_bucket(self._state) if order.wants(one.name)]
        return sum([await objects_in(self._state, name, within) for name in names])

    async def _bucket(
        self, job: Job, order: ScrubOrder, bucket: Bucket, at: ScrubCheckpoint
    ) -> AsyncGenerator[Step, None]:
        """Page by page; in deep mode there are steps between, which tell of bytes alone."""
        ground = Ground(self._state, self._store, bucket.name, self._catalogued(bucket))
        findings = await self._made_again(ground, bucket, dry_run=job.dry_run)
        if findings:
            at = at.told(findings)
            yield Step(_told(at), SCRUBBING, findings=findings)
            if job.dry_run:
                return
        remedies = Remedies(
            self._restores, order.unknown, bucket.owner, job.created, dry_run=job.dry_run
        )
        following: str | None = at.after
        while following is not None:
            page = await page_at(ground, following, order.prefix, self._most(order))
            wrong = await differences(ground, page.pairs)
            if order.deep:
                known = {one.key for one in wrong if one.row and not one.row.deleted}
                rows = [row for row in page.live if row.key not in known]
                async with aclosing(proved(ground, rows, self._prove, wrong)) as reading:
                    async for amount in reading:
                        yield Step(_told(at), SCRUBBING, moved=amount)
            findings = await remedies.of(ground, _in_order(wrong))
            following = page.next
            at = replace(at, after=following or "", ended=following is None).told(findings)
            moved = sum(one.size for one in findings if one.result == "restored")
            yield Step(_told(at), SCRUBBING, len(page.pairs), moved, findings=findings)

    def _catalogued(self, bucket: Bucket) -> bool:
        """Whether the listing of a bucket tells nothing of bytes that went."""
        store = self._each.get(bucket.storage, self._store)
        return store.capabilities.catalogued

    def _most(self, order: ScrubOrder) -> int:
        return min(self._page, DEEP_PAGE) if order.deep else self._page

    async def _swept(self) -> tuple[Finding, ...]:
        """What crashed writers left behind."""
        count = await self._store.sweep()
        detail = f"{count} things that crashed uploads left"
        return (Finding("LEFTOVER", "", "", "remove", "removed", detail),) if count else ()

    async def _made_again(
        self, ground: Ground, bucket: Bucket, *, dry_run: bool
    ) -> tuple[Finding, ...]:
        """A bucket that the storage has no more is made, so that its objects can be restored."""
        try:
            await ground.store.find_bucket(bucket.name)
        except BucketNotFound as error:
            if not await self._has(bucket.name):
                return ()
            if not dry_run:
                await ground.store.create_bucket(bucket)
            result = "" if dry_run else "restored"
            return (Finding("LOST", bucket.name, "", "restore", result, f"{error}"),)
        return ()

    async def _unknown_buckets(self, order: ScrubOrder) -> tuple[Finding, ...]:
        """Buckets of the storages that the state does not know."""
        found: list[Finding] = []
        for store in self._each.values():
            with suppress(AccessDenied):
                async for bucket in store.buckets():
                    if order.wants(bucket.name) and not await self._has(bucket.name):
                        detail = f"a bucket that the state does not know: ccs adopt {bucket.name}"
                        found.append(Finding("UNKNOWN", bucket.name, "", detail=detail))
        return tuple(found)

    async def _has(self, bucket: str) -> bool:
        try:
            await self._state.bucket(bucket)
        except BucketNotFound:
            return False
        return True


def _in_order(found: list[Difference]) -> list[Difference]:
    return sorted(found, key=lambda one: one.key)


def _told(at: ScrubCheckpoint) -> Checkpoint:
    told: Checkpoint = to_builtins(at)
    return told
