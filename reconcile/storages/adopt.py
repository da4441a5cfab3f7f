"""An existing bucket becomes ours without copying a byte: rows made from the storage's listing.

Clients may use the bucket meanwhile. Where a listing tells only of sizes and ETags, the rest comes
when a row is read, at the latest in the job's second phase.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, TypeVar

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import AccessDenied, NotFound, Refused
from backends.model import Bucket, Row
from backends.state.completing import Completing
from backends.state.found import PAGE, Given
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from reconcile.jobs.work import Checkpoint, Finding, Job, Outcome, Step, checkpoint_of, order_of
from reconcile.storages.adopting import Adopted, Listed, Terms, next_page, taken
from reconcile.storages.adoptions import TRUSTED_SECONDS, Adoption, Adoptions
from replication.documents import SYSTEM

A = TypeVar("A")
B = TypeVar("B")
KNOWN_SECONDS: Final = 1.5 * TRUSTED_SECONDS
DAY: Final = 24 * 3_600_000
COMPLETED_AT_ONCE: Final = 200
UNTOLD: Final = "the storage gives neither its headers nor its metadata"


class AdoptOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """What to adopt. `storage` is where the bucket lies, if the state does not know it yet.

    `headers` and `metadata` go to objects that lack them; with `expires_days` they expire so many
    days after the job was ordered. With `announce` other sites are told of each object at once.
    """

    bucket: str
    storage: str | None = None
    owner: str = ""
    prefix: str = ""
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    expires_days: float = 0
    announce: bool = False


class AdoptCheckpoint(Struct, frozen=True, omit_defaults=True):
    """All up to the key `after` is adopted, or completed; `adopted` objects were.

    Of `incomplete` ones the storage does not tell what its listing lacks.
    """

    completing: bool = False
    after: str = ""
    adopted: int = 0
    incomplete: int = 0

    def behind(self, page: Adopted) -> "AdoptCheckpoint":
        """The checkpoint when that page is adopted, too."""
        adopted = self.adopted + len(page.rows)
        return AdoptCheckpoint(page.next is None, page.next or "", adopted)


class Adopt:
    """The work of kind `adopt`, over all storages as one, and `each` by its name.

    Buckets that name nobody become the `owner`'s. `tell` tells other sites of a bucket, unless they
    know. A step is a `page` of objects.

    From its beginning until all is listed clients see what is not listed yet, too: within
    `known_seconds` every process of the site knows of it. That does not end with the job where this
    is cancelled or fails, but with the next one that lists these keys to the end.
    """

    kind = "adopt"

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        each: Mapping[str, ObjectStore],
        *,
        owner: str,
        tell: Callable[[Bucket], Awaitable[None]] | None = None,
        page: int = PAGE,
        known_seconds: float = KNOWN_SECONDS,
    ) -> None:
        self._state = state
        self._adoptions = Adoptions(state)
        self._store = store
        self._each = each
        self._owner = owner
        self._tell = tell
        self._page = page
        self._known_seconds = known_seconds

    async def check(self, job: Job) -> None:
        await self._bucket(order_of(job, AdoptOrder))

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        order, at = order_of(job, AdoptOrder), checkpoint_of(checkpoint, AdoptCheckpoint)
        bucket, store = await self._bucket(order)
        if not (job.dry_run or at.completing):
            bucket = await self._begun(bucket, order, job)
        given = _given_of(order, job, bucket.owner)
        terms = Terms(given, job.created, order.prefix, order.announce, job.dry_run, self._page)
        pages = self._pages(store, bucket.name, terms, at)
        async with aclosing(pages):
            async for page in pages:
                at = at.behind(page)
                yield Step(
                    _told(at), "adopting", page.seen, findings=_findings(bucket.name, page, terms)
                )
        if not job.dry_run:
            await self._adoptions.end(bucket.name, order.prefix)
        rows = self._completed(store, bucket.name, terms, at)
        async with aclosing(rows):
            async for read in rows:
                findings = await self._incomplete(read)
                incomplete = at.incomplete + len(findings)
                at = replace(at, after=read[-1].key, incomplete=incomplete)
                done = sum(not row.deleted for row in read)
                yield Step(_told(at), "completing", done, findings=findings)
        differs = at.adopted if job.dry_run else at.incomplete
        yield Step(_told(at), outcome=Outcome.DIFFERENCES if differs else Outcome.ALIKE)

    async def _begun(self, bucket: Bucket, order: AdoptOrder, job: Job) -> Bucket:
        """The bucket as the state has it now, and as other sites do.

        That it is adopted is known before it is there: no process sees one without the other.
        """
        await self._adoptions.begin(_adoption_of(bucket, order, job))
        made = await self._state.create_bucket(bucket)
        await self._adoptions.begin(_adoption_of(made, order, job))
        if self._tell:
            await self._tell(made)
        await asyncio.sleep(self._known_seconds)
        return made

    async def _pages(
        self, store: ObjectStore, bucket: str, terms: Terms, at: AdoptCheckpoint
    ) -> AsyncGenerator[Adopted, None]:
        """What the checkpoint leaves of the listing; the next page is listed while one is taken."""
        if at.completing:
            return
        after, asked = at.after, milliseconds()
        listing = store.listing(bucket, prefix=terms.prefix, after=after)
        async with aclosing(listing):
            listed: Listed | None = await next_page(listing, asked, terms)
            while listed:
                taking = taken(self._state, store, bucket, after, listed, terms)
                following = next_page(listing, asked, terms) if listed.next else _nothing()
                after = listed.next or ""
                adopted, listed = await _both(taking, following)
                yield adopted

    async def _completed(
        self, store: ObjectStore, bucket: str, terms: Terms, at: AdoptCheckpoint
    ) -> AsyncGenerator[list[Row], None]:
        """Read all rows once: what is not known of them yet is then."""
        if terms.dry_run or store.capabilities.lists_facts:
            return
        state = Completing(self._state, store)
        after, limit = at.after, min(self._page, COMPLETED_AT_ONCE)
        while rows := await state.inventory(bucket, after=after, limit=limit):
            yield rows
            after = rows[-1].key

    async def _incomplete(self, rows: list[Row]) -> tuple[Finding, ...]:
        """Those of which the storage tells no more, though nobody writes them."""
        left = [row for row in rows if row.facts.listed]
        return tuple(
            [
                Finding("INCOMPLETE", row.bucket, row.key, result="failed", detail=UNTOLD)
                for row in left
                if not await self._state.is_changing(row.bucket, row.key)
            ]
        )

    async def _bucket(self, order: AdoptOrder) -> tuple[Bucket, ObjectStore]:
        """The bucket as it will be, and its storage. Refused, BucketNotFound."""
        if order.bucket in SYSTEM:
            raise Refused(f"{order.bucket} is the system's own: name another bucket")
        if order.storage is not None and order.storage not in self._each:
            known = ", ".join(sorted(filter(None, self._each)))
            raise Refused(f"there is no storage {order.storage!r}; there are: {known}")
        with suppress(NotFound):
            return self._known(await self._state.bucket(order.bucket), order)
        asked = self._store if order.storage is None else self._each[order.storage]
        found = await asked.find_bucket(order.bucket)
        storage = found.storage if order.storage is None else order.storage
        store = self._each[storage]
        created = found.created or await _created(store, order.bucket) or milliseconds()
        owner = order.owner or found.owner or self._owner
        return replace(found, owner=owner, created=created, storage=storage), store

    def _known(self, bucket: Bucket, order: AdoptOrder) -> tuple[Bucket, ObjectStore]:
        """A bucket that the state knows may lie in several storages by now."""
        if order.storage not in {None, bucket.storage}:
            raise Refused(f"the bucket {bucket.name} lies in the storage {bucket.storage!r}")
        if order.owner not in {"", bucket.owner}:
            raise Refused(f"the bucket {bucket.name} is {bucket.owner}'s: leave the owner out")
        return bucket, self._store


async def _nothing() -> None:
    """There is no page behind the last one."""


async def _both(taking: Coroutine[Any, Any, A], listing: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """What both answer, when both have; where one fails the other ends."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(taking), group.create_task(listing)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return one.result(), other.result()


def _findings(bucket: str, page: Adopted, terms: Terms) -> tuple[Finding, ...]:
    """What was left out; in a dry run also what would be adopted."""
    left = [
        Finding("RESERVED", bucket, key, result="skipped", detail="clients cannot have such a key")
        for key in page.reserved
    ]
    adopted = page.rows if terms.dry_run else ()
    found = [
        Finding("UNKNOWN", bucket, row.key, action="adopt", size=row.facts.size) for row in adopted
    ]
    return (*left, *found)


def _given_of(order: AdoptOrder, job: Job, owner: str) -> Given:
    """What rows get."""
    expires = job.created + int(order.expires_days * DAY) if order.expires_days else 0
    return Given(order.owner or owner, order.headers, order.metadata, expires)


def _adoption_of(bucket: Bucket, order: AdoptOrder, job: Job) -> Adoption:
    return Adoption(
        bucket.name,
        bucket.created,
        job.id,
        begun=job.created,
        given=_given_of(order, job, bucket.owner),
        prefix=order.prefix,
        announce=order.announce,
    )


def _told(at: AdoptCheckpoint) -> Checkpoint:
    told: Checkpoint = to_builtins(at)
    return told


async def _created(store: ObjectStore, name: str) -> int:
    """When the storage says that the bucket was made; 0 where it does not tell."""
    with suppress(AccessDenied):
        async for bucket in store.buckets():
            if bucket.name == name:
                return bucket.created
    return 0
