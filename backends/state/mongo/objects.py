"""Objects in MongoDB: rows, tombstones and the intents that come before them."""

import asyncio
from functools import partial
from typing import Final, NamedTuple

from bson import ObjectId

from backends.errors import BucketNotFound, NotFound
from backends.model import (
    UNCONDITIONAL,
    Entry,
    Event,
    Intent,
    KeyRange,
    Precondition,
    Row,
    Version,
)
from backends.ranges import successor
from backends.state.mongo import decisions
from backends.state.mongo.decisions import Wish, Write, require_bucket
from backends.state.mongo.documents import (
    ENTRY,
    Key,
    Waiting,
    entry_of,
    id_of,
    inventory_row,
)
from backends.state.mongo.outbox import OutboxCollection
from backends.state.protocol import Committed

MOST_WAITING: Final = 100  # events of one key, before whoever adds one numbers them
OF_ENTRY: Final = tuple(f"live.{field}" for field in ENTRY)
OF_ROW: Final = ("live.locator", "live.facts", "tombstone")


class Around(NamedTuple):
    """What a write depends on beside its key, read before it."""

    bucket_id: ObjectId | None
    subscribed: bool


class Outcome(NamedTuple):
    """How a commit ended, what it found, and how many events of the key wait."""

    committed: Committed
    around: Around
    before: Key
    waiting: int


class ObjectCollection(OutboxCollection):
    """The verbs of the protocol that are about objects."""

    async def find(self, bucket: str, key: str) -> Row:
        found, bucket_id = await asyncio.gather(
            self._keys.read(bucket, key, "live"), self._require_bucket(bucket)
        )
        live = found.live_in(bucket_id)
        if live is None:
            raise NotFound(f"{bucket}/{key}: there is no object")
        return live

    async def newest(self, bucket: str, key: str) -> Row | None:
        found, bucket_id = await asyncio.gather(
            self._keys.read(bucket, key, "live", "tombstone"), self._require_bucket(bucket)
        )
        return decisions.newest(found, bucket_id)

    async def page(self, bucket: str, *, prefix: str, after: str, limit: int) -> list[Entry]:
        bucket_id = await self._require_bucket(bucket)
        found = await self._keys.collection.many(
            {"live.bucket": bucket_id, "_id": keys_of(bucket, prefix, after)},
            order=(("live.bucket", 1), ("_id", 1)),
            limit=limit,
            fields=OF_ENTRY,
        )
        return list(map(entry_of, found))

    async def inventory(self, bucket: str, *, after: str, limit: int, upto: str = "") -> list[Row]:
        bucket_id = await self._require_bucket(bucket)
        has_row = [{"live.bucket": bucket_id}, {"tombstone": {"$exists": True}}]
        found = await self._keys.collection.many(
            {"_id": keys_within(bucket, KeyRange(after, upto)), "$or": has_row},
            limit=limit,
            fields=OF_ROW,
            hint=(("_id", 1),),
        )
        return list(map(inventory_row, found))

    async def begin(
        self,
        bucket: str,
        key: str,
        *,
        lease: int,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
        alone: bool = False,
        deletes: bool = False,
        version: Version | None = None,
        again: bool = False,
    ) -> Intent:
        wish = Wish(self._now() + lease, upload, condition, alone, deletes, version, again)
        return await self._keys.change_given(
            bucket,
            key,
            partial(self._require_bucket, bucket),
            lambda found, bucket_id: decisions.begin(found, bucket_id, wish, self._above),
        )

    async def restamp(self, intent: Intent, *, lease: int, alone: bool = False) -> Intent:
        def decide(found: Key, bucket_id: ObjectId | None) -> tuple[Key, Intent]:
            expires = self._now() + lease
            return decisions.restamp(
                found, bucket_id, intent, self._above, expires=expires, alone=alone
            )

        return await self._keys.change_given(
            intent.bucket, intent.key, partial(self._bucket_id, intent.bucket), decide
        )

    async def is_changing(self, bucket: str, key: str) -> bool:
        found = await self._keys.read(bucket, key, "intents")
        return any(intent.alone for intent in found.intents)

    async def renew(self, intent: Intent, *, lease: int) -> Intent:
        expires = self._now() + lease
        return await self._keys.change(
            intent.bucket, intent.key, lambda found: decisions.renew(found, intent, expires=expires)
        )

    async def commit(
        self,
        row: Row,
        event: Event | None,
        *,
        intent: Intent | None = None,
        condition: Precondition = UNCONDITIONAL,
        upload: str = "",
        overwrote: bool = False,
    ) -> Committed:
        waiting = Waiting(ObjectId(), event) if event else None
        write = Write(row, waiting, intent, condition, upload, overwrote)

        def decide(found: Key, around: Around) -> tuple[Key, Outcome]:
            bucket_id = require_bucket(around.bucket_id, row.bucket)
            told = write if around.subscribed else write._replace(event=None)
            changed, committed = decisions.commit(found, bucket_id, told, now=self._now())
            return changed, Outcome(committed, around, found, len(changed.events))

        look = partial(self._look_around, row.bucket)
        done = await self._keys.change_given(row.bucket, row.key, look, decide)
        if done.committed.won:
            await self._hold(done, write)
            await self._tell(waiting, done.around, done.waiting)
            if upload:
                await self._drop_parts(row.bucket, row.key, (upload,))
        return done.committed

    async def bury(
        self,
        bucket: str,
        key: str,
        event_name: str,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
        intent: Intent | None = None,
    ) -> Row | None:
        name = ObjectId()

        def waiting(version: Version) -> Waiting:
            return Waiting(name, Event(event_name, bucket, key, version, operation=operation))

        def decide(found: Key, around: Around) -> tuple[Key, tuple[Row | None, Around, Key]]:
            changed, removed = decisions.bury(
                found,
                require_bucket(around.bucket_id, bucket),
                self._above,
                waiting if around.subscribed else untold,
                condition=condition,
                intent=intent,
                now=self._now(),
            )
            return changed, (removed, around, changed)

        look = partial(self._look_around, bucket)
        removed, around, left = await self._keys.change_given(bucket, key, look, decide)
        if removed and left.tombstone:
            await self._tell(waiting(left.tombstone.version), around, len(left.events))
        return removed

    async def _look_around(self, bucket: str) -> Around:
        return Around(*await asyncio.gather(self._bucket_id(bucket), self._subscribed()))

    async def _hold(self, done: Outcome, write: Write) -> None:
        """Return if the row that was committed is in a bucket that stays; else take it back."""
        row = write.row
        try:
            await self._hold_bucket(row.bucket, require_bucket(done.around.bucket_id, row.bucket))
        except BucketNotFound:
            await self._keys.change(
                row.bucket, row.key, lambda found: decisions.take_back(found, done.before, write)
            )
            raise

    async def _tell(self, event: Waiting | None, around: Around, waiting: int) -> None:
        """Keep the event if a group has subscribed since; number events where many wait.

        Killed before this, the write was not answered, and the group may miss it.
        """
        if waiting > MOST_WAITING:
            await self.collect(limit=waiting)
        if event is None or around.subscribed or not await self._subscribed():
            return
        told = event.event
        await self._keys.change(
            told.bucket, told.key, lambda found: decisions.tell_late(found, event)
        )


def keys_of(bucket: str, prefix: str, after: str) -> dict[str, str]:
    """The range of documents of keys above `after` that begin with the prefix."""
    first, above = id_of(bucket, prefix), id_of(bucket, after)
    low = {"$gte": first} if first > above else {"$gt": above}
    end = successor(first)
    return {**low, "$lt": end} if end else low


def keys_within(bucket: str, within: KeyRange) -> dict[str, str]:
    """The range of documents of those keys."""
    keys = keys_of(bucket, "", within.after)
    return keys | {"$lte": id_of(bucket, within.upto)} if within.upto else keys


def untold(_: Version) -> None:
    """For where nobody subscribes."""
