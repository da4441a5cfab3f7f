"""When objects of a bucket come to their end: rules that all sites share, one document a bucket."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from backends.clock import milliseconds
from backends.errors import BucketNotFound, NotFound, Refused
from backends.model import Facts
from backends.state.protocol import StateStore
from replication.documents import SHARED, SYSTEM, Document, Documents, value_at

EXPIRY: Final = "expiry/"
DAY: Final = 24 * 3_600_000
KNOWN_SECONDS: Final = 2.0


class ExpiryRule(Struct, frozen=True, omit_defaults=True):
    """Objects under the prefix end `days` after their Last-Modified; 0: not by their age.

    With `archive` each that ends, by whatever, is copied into that bucket before.
    """

    days: float = 0
    prefix: str = ""
    archive: str = ""

    def end(self, facts: Facts) -> "End":
        """When the object of those facts ends."""
        return End(facts.modified + round(self.days * DAY), f"after-{self.days:g}-days")


class BucketExpiry(Struct, frozen=True, omit_defaults=True):
    """The rules of a bucket, made at `since` (ms): a bucket made later is another one."""

    since: int
    rules: tuple[ExpiryRule, ...] = ()


class End(Struct, frozen=True):
    """When an object ends, in milliseconds, and by what, as answers call it."""

    at: int
    name: str


OWN_END: Final = "object"


def end_of(rules: Sequence[ExpiryRule], key: str, facts: Facts) -> End | None:
    """The first end that the object comes to, by its own facts or a rule; None for never."""
    covering = [rule for rule in rules if key.startswith(rule.prefix)]
    ends = [rule.end(facts) for rule in covering if rule.days]
    if facts.expires:
        ends.append(End(facts.expires, OWN_END))
    return min(ends, key=lambda end: end.at, default=None)


def archive_of(rules: Sequence[ExpiryRule], key: str) -> str:
    """Where an object that ends is copied before; "" for nowhere."""
    return next(
        (rule.archive for rule in rules if rule.archive and key.startswith(rule.prefix)), ""
    )


class ExpiryRules:
    """The rules of all buckets, as they were a moment ago."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._shared = Documents(state, SHARED)
        self._known: Mapping[str, BucketExpiry] | None = None
        self._until = 0.0

    async def of(self, bucket: str) -> tuple[ExpiryRule, ...]:
        """Those of a bucket."""
        found = (await self.every()).get(bucket)
        return found.rules if found else ()

    async def rule(self, bucket: str) -> ExpiryRule | None:
        """The one that covers the whole bucket."""
        return next((rule for rule in await self.of(bucket) if not rule.prefix), None)

    async def every(self) -> Mapping[str, BucketExpiry]:
        """Those of each bucket that has any."""
        now = time.monotonic()
        known = self._known
        if known is None or now >= self._until:
            self._until = now + KNOWN_SECONDS
            self._known = known = await self._look()
        return known

    async def change(self, bucket: str, *, days: float | None, archive: str | None) -> None:
        """Let objects of the bucket end after so many days, 0 for never; None leaves it as it is.

        With `archive` what ends is copied into that bucket before; "" for no copy. BucketNotFound;
        Refused where that cannot be.
        """
        created = await self._require(bucket, archive)
        await self._shared.prepare()
        known = await value_at(self._shared, EXPIRY + bucket, BucketExpiry, BucketExpiry(0))
        before = next((rule for rule in known.rules if not rule.prefix), ExpiryRule())
        rule = ExpiryRule(
            before.days if days is None else days,
            archive=before.archive if archive is None else archive,
        )
        others = tuple(one for one in known.rules if one.prefix)
        rules = (*others, rule) if rule.days or rule.archive else others
        await self._shared.put(EXPIRY + bucket, BucketExpiry(max(milliseconds(), created), rules))
        self._until = 0.0

    async def _require(self, bucket: str, archive: str | None) -> int:
        """When the bucket was made, if it may have rules."""
        if bucket in SYSTEM:
            raise Refused(f"{bucket} is our own: nothing in it ends by itself")
        if archive and archive == bucket:
            raise Refused(f"{bucket} cannot be its own archive: name another bucket")
        if archive:
            await self._state.bucket(archive)
        return (await self._state.bucket(bucket)).created

    async def _look(self) -> Mapping[str, BucketExpiry]:
        """Rules of buckets that are there, and were when the rules were made."""
        found: dict[str, BucketExpiry] = {}
        for document in await self._documents():
            name = document.name.removeprefix(EXPIRY)
            expiry = document.value(BucketExpiry)
            if await self._is_of(name, expiry):
                found[name] = expiry
        return found

    async def _documents(self) -> list[Document]:
        try:
            return await self._shared.under(EXPIRY)
        except BucketNotFound:
            return []

    async def _is_of(self, bucket: str, expiry: BucketExpiry) -> bool:
        try:
            return (await self._state.bucket(bucket)).created <= expiry.since
        except NotFound:
            return False
