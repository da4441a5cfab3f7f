"""Buckets moved between storages at an operator's word: begun, made final, taken back."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple, Protocol

from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import BucketNotFound, NotFound, Refused
from backends.model import Bucket
from backends.state.protocol import StateStore
from backends.state.transfer import every_bucket
from backends.storage.protocol import ObjectStore
from backends.storage.reserved import is_reserved
from reconcile.jobs.work import Job
from reconcile.migration.records import Migration, MigrationRecords, Phase, place_of, shown
from replication.documents import SYSTEM

KIND: Final = "migrate"


class Starts(Protocol):
    """Orders jobs."""

    async def start(
        self,
        kind: str,
        order: Mapping[str, Any],
        *,
        objects_per_second: float,
        bytes_per_second: float,
    ) -> Job:
        """Order one; some process of the site takes it soon."""


class Pace(NamedTuple):
    """How much a job does in a second, at the most; 0 is as fast as it can."""

    objects: float = 0
    size: float = 0


FULL: Final = Pace()


class Migrations:
    """The migrations of one site. `stores` are its storages by name; `starts` orders the jobs."""

    def __init__(
        self, state: StateStore, stores: Mapping[str, ObjectStore], starts: Starts
    ) -> None:
        self._state = state
        self._records = MigrationRecords(state)
        self._stores = stores
        self._starts = starts

    async def every(self) -> list[Migration]:
        """The last one of each bucket, by the bucket's name."""
        return await self._records.every()

    async def storages(self, buckets: Iterable[Bucket]) -> dict[str, str]:
        """Where the new bytes of each of these buckets go."""
        last = {found.bucket: found for found in await self.every()}
        return {bucket.name: place_of(bucket, last.get(bucket.name)).active for bucket in buckets}

    async def find(self, bucket: str) -> Migration:
        """The bucket's last one. NotFound."""
        return await self._records.find(bucket)

    async def start(self, name: str, to: str, pace: Pace = FULL) -> Migration:
        """Let the bucket move to that storage; again is no error. NotFound, Refused.

        From now on new bytes go there, and a job brings those that there are.
        """
        if name in SYSTEM:
            raise BucketNotFound(f"there is no bucket {name}")
        bucket = await self._state.bucket(name)
        target = self._store(to)
        last = await self._records.last(bucket)
        if last and not last.phase.is_end:
            return await self._again(last, to, pace)
        source = place_of(bucket, last).active
        if source == to:
            raise Refused(f"{name} lies in {shown(to)} already")
        await self._require_empty(bucket, to)
        await target.create_bucket(bucket)
        now = milliseconds()
        begun = Migration(name, bucket.created, bucket.storage, source, to, started=now, since=now)
        return await self._with_job(await self._records.add(begun), pace)

    async def pull(
        self, name: str, source: str, to: str, owner: str, pace: Pace = FULL
    ) -> Migration:
        """Let a bucket move that only the storage `source` knows; it becomes the `owner`'s.

        Its objects are there for clients at once, in listings when they are indexed. In the end the
        source keeps them. One that is known already moves as by `start`. NotFound, Refused.
        """
        try:
            known = await self._state.bucket(name)
        except BucketNotFound:
            return await self._pulled(name, source, to, owner, pace)
        last = await self._records.last(known)
        if (last.source if last else known.storage) != source:
            raise Refused(f"{name} does not lie in {shown(source)}")
        return await self.start(name, to, pace)

    async def _pulled(self, name: str, source: str, to: str, owner: str, pace: Pace) -> Migration:
        """The migration is known before the bucket is: so no process sees one without the other."""
        found = await self._store(source).find_bucket(name)
        now = milliseconds()
        bucket = Bucket(name, found.owner or owner, now, found.region, source)
        if source == to:
            raise Refused(f"{name} lies in {shown(to)} already")
        await self._require_empty(bucket, to)
        await self._store(to).create_bucket(bucket)
        begun = Migration(name, now, source, source, to, now, now, Phase.INDEXING, keeps=True)
        await self._records.add(begun)
        await self._state.create_bucket(bucket)
        return await self._with_job(begun, pace)

    async def start_all(self, source: str, to: str, pace: Pace = FULL) -> list[Migration]:
        """The same for all buckets of a storage; those that are on their way stay so."""
        self._store(source)
        return [await self.start(bucket.name, to, pace) async for bucket in self._in(source)]

    async def cutover(self, name: str, *, keeps: bool = False) -> Migration:
        """Make it final: what the old storage still has is dropped, unless it `keeps` that.

        Again is no error. NotFound; Refused while not everything is in the new storage.
        """

        def final(last: Migration) -> Migration:
            if last.phase not in {Phase.COPIED, Phase.DROPPING, Phase.DONE}:
                raise Refused(_not_yet(last))
            done = last.phase is Phase.DONE
            return last if done else replace(last.at(Phase.DROPPING), keeps=keeps or last.keeps)

        found = await self._records.change(name, final)
        return found if found.phase.is_end else await self._with_job(found)

    async def rollback(self, name: str) -> Migration:
        """Bring the bucket back: new bytes go to the old storage again. NotFound, Refused.

        Again is no error. It is possible until the cut-over.
        """

        def back(last: Migration) -> Migration:
            if last.phase is Phase.RETURNED:
                return last
            if not last.phase.can_return:
                raise Refused(
                    f"{name} was cut over to {shown(last.target)}: start a migration to"
                    f" {shown(last.source)}"
                )
            return last.at(Phase.RETURNING)

        found = await self._records.change(name, back)
        return found if found.phase.is_end else await self._with_job(found)

    async def _again(self, last: Migration, to: str, pace: Pace) -> Migration:
        """One that is under way gets another job: the first may have failed."""
        if last.phase not in {Phase.INDEXING, Phase.COPYING} or last.target != to:
            raise Refused(
                f"{last.bucket} is on its way from {shown(last.source)} to {shown(last.target)}"
                f" ({last.phase}): cut over or roll back first"
            )
        return await self._with_job(last, pace)

    async def _with_job(self, found: Migration, pace: Pace = FULL) -> Migration:
        job = await self._starts.start(
            KIND,
            {"bucket": found.bucket},
            objects_per_second=pace.objects,
            bytes_per_second=pace.size,
        )
        return await self._records.change(found.bucket, lambda last: replace(last, job=job.id))

    async def _in(self, storage: str) -> AsyncIterator[Bucket]:
        async for bucket in every_bucket(self._state):
            last = await self._records.last(bucket)
            moves = last is not None and not last.phase.is_end
            if bucket.name not in SYSTEM and not moves and place_of(bucket, last).active == storage:
                yield bucket

    def _store(self, name: str) -> ObjectStore:
        try:
            return self._stores[name]
        except KeyError as error:
            names = ", ".join(shown(one) for one in self._stores)
            raise NotFound(f"there is no storage {name}: there are {names}") from error

    async def _require_empty(self, bucket: Bucket, storage: str) -> None:
        """Return unless that storage has objects in a bucket of that name. Refused."""
        try:
            async with aclosing(self._store(storage).listing(bucket.name)) as listed:
                async for stored in listed:
                    if is_reserved(stored.key):
                        continue
                    raise Refused(
                        f"the storage {shown(storage)} has a bucket {bucket.name} with objects in"
                        f" it ({stored.key}): empty or rename it first"
                    )
        except BucketNotFound:
            return


def _not_yet(found: Migration) -> str:
    if found.phase.is_back:
        return f"{found.bucket} was rolled back to {shown(found.source)}"
    return (
        f"{found.bucket} is not yet all in {shown(found.target)}: wait until its job {found.job}"
        " is done, or see its report"
    )
