"""A bucket's way from one storage to another: what is kept of it, and what follows from it.

Of each bucket the last migration is kept: it says where the bucket's new bytes go. Rows say by
themselves where theirs are, so no process has to know of a migration to read right.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import BucketNotFound, NotFound, PreconditionFailed, Refused
from backends.model import Bucket, Precondition
from backends.state.protocol import StateStore
from backends.storage.addresses import Place
from replication.documents import OWN, Documents, value_at

MIGRATIONS: Final = "migrations/"


class Phase(StrEnum):
    """How far a migration is. DONE and RETURNED are its end."""

    INDEXING = "indexing"
    COPYING = "copying"
    COPIED = "copied"
    DROPPING = "dropping"
    DONE = "done"
    RETURNING = "returning"
    RETURNED = "returned"

    @property
    def is_end(self) -> bool:
        return self in {Phase.DONE, Phase.RETURNED}

    @property
    def is_back(self) -> bool:
        return self in {Phase.RETURNING, Phase.RETURNED}

    @property
    def can_return(self) -> bool:
        return self in {Phase.INDEXING, Phase.COPYING, Phase.COPIED, Phase.RETURNING}


class Migration(Struct, frozen=True, omit_defaults=True):
    """A bucket's way from the storage `source` to `target`, by their names.

    `created` is when the bucket was made, in its `home`: of a later one this says nothing. `job`
    does what the phase asks for, in which it is `since` then. With `keeps` the source keeps its
    bytes in the end. Times are in milliseconds.
    """

    bucket: str
    created: int
    home: str
    source: str
    target: str
    started: int
    since: int
    phase: Phase = Phase.COPYING
    job: str = ""
    keeps: bool = False

    def at(self, phase: Phase) -> "Migration":
        """The same, in that phase from now on."""
        return replace(self, phase=phase, since=milliseconds())

    @property
    def active(self) -> str:
        """Where new bytes go."""
        return self.source if self.phase.is_back else self.target

    @property
    def place(self) -> Place:
        """Where the bytes lie."""
        others = () if self.phase.is_end else (self.source, self.target)
        return Place(self.home, self.active, others)


class MigrationRecords:
    """The last migration of each bucket, kept in the state of a site."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._own = Documents(state, OWN)

    async def every(self) -> list[Migration]:
        """Those of buckets that there are, by name."""
        found = await self._own.values(MIGRATIONS, Migration)
        return [one for one in found if await self._is_of_one_there(one)]

    async def _is_of_one_there(self, migration: Migration) -> bool:
        try:
            return (await self._state.bucket(migration.bucket)).created == migration.created
        except BucketNotFound:
            return False

    async def last(self, bucket: Bucket) -> Migration | None:
        """The last migration of just that bucket, if there was one."""
        return await migration_of(self._own, bucket)

    async def find(self, name: str) -> Migration:
        """The last one of the bucket. NotFound."""
        found = await self.last(await self._state.bucket(name))
        if found is None:
            raise NotFound(f"{name} was never moved: `ccs migrate start` begins it")
        return found

    async def add(self, migration: Migration) -> Migration:
        """Write one down that begins. Refused where another one has begun meanwhile."""
        name = MIGRATIONS + migration.bucket
        condition = Precondition(none_match="*")
        if await self._own.has(name):
            document = await self._own.find(name)
            there = document.value(Migration)
            if there.phase.is_end or there.created != migration.created:
                condition = Precondition(match=document.etag)
        try:
            await self._own.put(name, migration, condition=condition)
        except (PreconditionFailed, NotFound) as error:
            raise Refused(f"another migration of {migration.bucket} has just begun") from error
        return migration

    async def change(self, name: str, decide: Callable[[Migration], Migration]) -> Migration:
        """Put in the place of the last one what `decide` makes of it, and as often as needed."""
        while True:
            await self.find(name)
            document = await self._own.find(MIGRATIONS + name)
            changed = decide(document.value(Migration))
            try:
                await self._own.put(
                    MIGRATIONS + name, changed, condition=Precondition(match=document.etag)
                )
            except PreconditionFailed:
                continue
            return changed

    async def reach(self, found: Migration, phase: Phase) -> None:
        """That phase is next, unless an operator has chosen another one meanwhile."""
        await self.change(
            found.bucket,
            lambda last: last.at(phase) if last.phase is found.phase else last,
        )


async def migration_of(own: Documents, bucket: Bucket) -> Migration | None:
    """The last migration of just that bucket."""
    found = await value_at(own, MIGRATIONS + bucket.name, Migration, None)
    return found if found and found.created == bucket.created else None


def place_of(bucket: Bucket, migration: Migration | None) -> Place:
    """Where the bytes of the bucket lie."""
    if migration is None:
        return Place(bucket.storage, bucket.storage)
    return migration.place


async def place_in(state: StateStore, own: Documents, name: str) -> Place:
    """Where the bytes of a bucket lie, or lay when it went. BucketNotFound."""
    try:
        bucket = await state.bucket(name)
    except BucketNotFound:
        left = await value_at(own, MIGRATIONS + name, Migration, None)
        if left is None:
            raise
        return left.place._replace(gone=True)
    return place_of(bucket, await migration_of(own, bucket))


def shown(storage: str) -> str:
    """The name of a storage as operators know it."""
    return storage or "default"
