"""What has come to its end is removed: found by index or by the rules of its bucket, in order.

Every site comes to the same, but one alone removes an object: the one that wrote it or, where that
is gone, the first by name. The others hear of it like of any delete. What no site wrote, since it
was adopted, each removes that has it: others may never get it.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

import structlog
from msgspec import Struct
from msgspec.structs import replace

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import BackendError, BucketNotFound, NotFound, Superseded, Unavailable
from backends.model import Row
from backends.state.protocol import FIRST_DUE, Due, StateStore
from replication.documents import OWN, SHARED, SYSTEM, Documents, value_at
from replication.expiry import ExpiryRule, ExpiryRules, archive_of, end_of
from replication.topology import sites_in

log: Final = structlog.get_logger("expiry")
WALKED: Final = "expiry-walk"
PAGE: Final = 500
AT_ONCE: Final = 8


class Ends(Protocol):
    """How an object ends here."""

    async def end(self, row: Row) -> bool:
        """Remove the object if the row is still the key's newest; whether it went."""

    async def archive(self, row: Row, bucket: str) -> None:
        """Copy it into another bucket. Superseded where the row is no longer the newest."""


class Walk(Struct, frozen=True):
    """A walk through the buckets that have rules: all up to this object has been looked at.

    Times are in milliseconds; `ended` is 0 while it is under way.
    """

    began: int = 0
    ended: int = 0
    bucket: str = ""
    after: str = ""

    def is_due(self, now: int, every: int) -> bool:
        """Whether the walk is to go on, or the next one to begin."""
        return not self.ended or self.began + every <= now

    def upcoming(self, now: int) -> "Walk":
        """Itself, or the next where it has ended."""
        return Walk(began=now) if self.ended or not self.began else self


class Figures(Struct):
    """What this process has done."""

    ended: int = 0
    archived: int = 0
    failed: int = 0
    last_error: str = ""


class Expiry:
    """Ends what is due at the site `home`, which may be `one_of_several`.

    Buckets with rules are walked through `every` so many milliseconds, at most so many rows a
    second.
    """

    def __init__(
        self,
        state: StateStore,
        rules: ExpiryRules,
        ends: Ends,
        home: str,
        *,
        one_of_several: bool,
        every: int,
        rows_per_second: float,
        now: Callable[[], int] = milliseconds,
    ) -> None:
        self._state = state
        self.rules = rules
        self._ends = ends
        self._home = home
        self._one_of_several = one_of_several
        self._every = every
        self._rate = rows_per_second
        self._now = now
        self._own = Documents(state, OWN)
        self._shared = Documents(state, SHARED)
        self._sites: Collection[str] = ()
        self.figures = Figures()

    async def run(self) -> int:
        """End what is due now; how many objects went. It may be stopped, and run again."""
        before = replace(self.figures)
        if self._one_of_several:
            self._sites = await sites_in(self._shared)
        await self._end_by_themselves()
        known = await value_at(self._own, WALKED, Walk, Walk())
        if known.is_due(self._now(), self._every):
            await self._walk(known.upcoming(self._now()))
        self._tell(before)
        return self.figures.ended - before.ended

    def _tell(self, before: Figures) -> None:
        """Log what has been done since."""
        now = self.figures
        ended, failed = now.ended - before.ended, now.failed - before.failed
        if ended:
            log.info("objects expired", objects=ended, archived=now.archived - before.archived)
        if failed:
            log.warning("objects that are to expire do not", objects=failed, error=now.last_error)

    async def _end_by_themselves(self) -> None:
        """Those that were given an end when they were written."""
        after = FIRST_DUE

        async def end(row: Row) -> None:
            rules = await self.rules.of(row.bucket)
            if self._is_due(row, rules):
                await self._end(row, rules)

        while rows := await self._state.expired(after=after, limit=PAGE):
            await bounded(end, rows, at_once=AT_ONCE)
            after = Due(rows[-1].facts.expires, rows[-1].bucket, rows[-1].key)
        await self._state.forget_expired()

    async def _walk(self, walk: Walk) -> None:
        """Through the buckets with rules, from where it stopped."""
        await self._own.prepare()
        every = await self.rules.every()
        for bucket in sorted(every):
            rules = [rule for rule in every[bucket].rules if rule.days]
            if not rules or bucket < walk.bucket:
                continue
            after = walk.after if bucket == walk.bucket else ""
            walk = replace(walk, bucket=bucket, after=after)
            walk = await self._walk_bucket(walk, every[bucket].rules)
        await self._keep(replace(walk, ended=self._now()))

    async def _walk_bucket(self, walk: Walk, rules: Sequence[ExpiryRule]) -> Walk:
        async def end(row: Row) -> None:
            await self._end(row, rules)

        while rows := await self._page(walk):
            began = time.monotonic()
            due = [row for row in rows if self._is_due(row, rules)]
            await bounded(end, due, at_once=AT_ONCE)
            walk = replace(walk, after=rows[-1].key)
            await self._keep(walk)
            await self._pause(len(rows) / self._rate - (time.monotonic() - began))
        return walk

    async def _page(self, walk: Walk) -> list[Row]:
        """The next rows of the bucket; none where it is gone."""
        try:
            return await self._state.inventory(walk.bucket, after=walk.after, limit=PAGE)
        except BucketNotFound:
            return []

    async def _keep(self, walk: Walk) -> None:
        await self._own.put(WALKED, walk)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _end(self, row: Row, rules: Sequence[ExpiryRule]) -> None:
        """End an object that is due; one that does not is counted. Unavailable."""
        try:
            await self._remove(row, archive_of(rules, row.key))
        except Superseded:
            log.debug("written anew before its end", bucket=row.bucket, key=row.key)
        except Unavailable:
            raise
        except BackendError as error:
            self.figures.failed += 1
            self.figures.last_error = f"{row.bucket}/{row.key}: {error}"

    async def _remove(self, row: Row, archive: str) -> None:
        if archive:
            await self._archive(row, archive)
        self.figures.ended += await self._ends.end(row)

    async def _archive(self, row: Row, archive: str) -> None:
        """Copy it, unless it was deleted meanwhile."""
        try:
            await self._ends.archive(row, archive)
        except BucketNotFound:
            raise
        except NotFound as error:
            raise Superseded(str(error)) from error
        self.figures.archived += 1

    def _is_due(self, row: Row, rules: Sequence[ExpiryRule]) -> bool:
        """Whether it is time to end the object, and ours to do."""
        if row.deleted or row.bucket in SYSTEM:
            return False
        end = end_of(rules, row.key, row.facts)
        return end is not None and end.at <= self._now() and self._is_ours(row)

    def _is_ours(self, row: Row) -> bool:
        """Whether it is this site that removes it."""
        writer = row.version.site
        if not self._sites or not writer:
            return True
        return self._home == (writer if writer in self._sites else min(self._sites))
