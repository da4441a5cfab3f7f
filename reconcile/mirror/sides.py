"""A bucket of ours and a plain storage's, side by side: which keys they do not have alike."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, NamedTuple

from backends.bounded import bounded
from backends.errors import BucketNotFound, NotFound
from backends.etags import is_md5
from backends.model import Bucket
from backends.ranges import range_of
from backends.state.found import next_of
from backends.state.protocol import StateStore
from backends.storage import carried
from backends.storage.protocol import ObjectStore, Stored
from reconcile.mirror.verdicts import Source, Verdict, decide, is_told
from reconcile.storages.comparing import Page, Pair, joined

PAGE: Final = 1000
AT_ONCE: Final = 16


class Sides(NamedTuple):
    """Our `bucket`, whose rows `state` has and whose bytes `store`; `there` it is called `name`."""

    state: StateStore
    store: ObjectStore
    bucket: Bucket
    there: ObjectStore
    name: str


class Change(NamedTuple):
    """A key that is not alike, and what is to be done about it."""

    pair: Pair
    verdict: Verdict

    @property
    def size(self) -> int:
        """How many bytes the object has that is given, or goes."""
        row, stored = self.pair.row, self.pair.stored
        if row and not row.deleted and self.verdict.giver is not Source.STORAGE:
            return row.facts.size
        return stored.size if stored else 0


async def pages(
    sides: Sides, prefix: str, after: str, *, lacking: bool = False
) -> AsyncGenerator[Page, None]:
    """All keys of both behind `after` that begin with the prefix, in their order.

    The storage is listed in one go: not every server can begin a listing in the middle. What it
    raises ends all: an error never means absence. `lacking` says that it may have no such bucket,
    which is as good as an empty one.
    """
    within = range_of(prefix)
    waiting: list[Stored] = []
    at: str | None = after
    async with aclosing(_listing(sides, prefix, after, lacking=lacking)) as listing:
        while at is not None:
            waiting += await next_of(listing, PAGE - len(waiting))
            rows = await sides.state.inventory(
                sides.bucket.name, after=max(at, within.after), limit=PAGE, upto=within.upto
            )
            page = joined(waiting, rows, PAGE)
            at = page.next
            waiting = [one for one in waiting if at is not None and one.key > at]
            yield page


async def _listing(
    sides: Sides, prefix: str, after: str, *, lacking: bool
) -> AsyncGenerator[Stored, None]:
    try:
        listing = sides.there.listing(sides.name, prefix=prefix, after=after)
        async with aclosing(listing) as found:
            async for stored in found:
                yield stored
    except BucketNotFound:
        if not lacking:
            raise


async def changes_in(
    sides: Sides, pairs: Sequence[Pair], source: Source, before: int
) -> list[Change]:
    """Those of the pairs that are not alike, and that nobody wrote since `before` (milliseconds).

    The storage is asked about an object only where its listing does not tell what is to be done.
    """
    tells_all = sides.there.capabilities.lists_facts

    async def change(pair: Pair) -> Change | None:
        if not (tells_all or is_told(pair.row, pair.stored)):
            pair = pair._replace(stored=await _looked_at(sides, pair.key))
        if pair.stored:
            pair = pair._replace(stored=as_bytes_tell(pair.stored))
        if _is_young(pair, before):
            return None
        verdict = decide(pair.row, pair.stored, source)
        return Change(pair, verdict) if verdict else None

    old = [pair for pair in pairs if not _is_young(pair, before)]
    found = await bounded(change, old, at_once=AT_ONCE)
    return [one for one in found if one]


def as_bytes_tell(stored: Stored) -> Stored:
    """What is stored; as bytes of others, where they are not those that our facts tell of.

    Whoever replaced those has kept our facts, as a few servers and programs do.
    """
    facts = stored.facts
    changed = stored.md5 and is_md5(facts.etag) and facts.etag != stored.md5
    cut = facts.parts and sum(part.size for part in facts.parts) != stored.size
    if not stored.ours or not (changed or cut):
        return stored
    modified = max(stored.modified, facts.modified)
    told = carried.foreign(modified, stored.size, stored.md5, facts.headers, facts.metadata)
    return replace(stored, facts=told)


async def _looked_at(sides: Sides, key: str) -> Stored | None:
    """All that the storage tells of what is there now, if anything still is."""
    try:
        return await sides.there.head(sides.name, key)
    except BucketNotFound:
        raise
    except NotFound:
        return None


def _is_young(pair: Pair, before: int) -> bool:
    """Whether one of the two came since then: that is not this job's to judge."""
    row, stored = pair.row, pair.stored
    times = [row.version.milliseconds] if row else []
    if stored:
        times += [stored.modified, stored.facts.version.milliseconds]
    return max(times, default=0) >= before
