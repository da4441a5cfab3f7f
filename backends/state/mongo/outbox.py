"""The outbox in MongoDB: events get their numbers when somebody reads, not when they are written.

An event is written into its key's document, with the row. Whoever reads collects: it puts a batch
of waiting events, with the numbers they get, into the one document of the counter, by
compare-and-set. From then on these are their numbers, and whoever comes by may do the rest, as
often as it likes: insert them into `outbox`, take them out of the keys' documents, empty the batch.
So a crash leaves work for the next one, nothing is lost, no lease is needed. An event is numbered
once: a collector reads the counter before the keys, and a batch that was done in between has
changed the counter.

Numbers are read up to the batch under way, so none appears below one that was read. What a slow
process inserts again after all groups have read it lies below every cursor, and goes with the next
trim.
"""

from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from bson import ObjectId

from backends.model import Event
from backends.state.mongo.connection import Collection, Document, Filter
from backends.state.mongo.documents import EVENT, events_of
from backends.state.mongo.tables import Tables

COUNTER: Final = "outbox"
BATCH: Final = 500
ROUNDS: Final = 1000
TRIM_EVERY: Final = 100


class Counter(NamedTuple):
    """The last number given, and the events that are getting theirs."""

    last: int
    batch: list[Document]
    revision: ObjectId | None

    @property
    def published(self) -> int:
        """Up to where the outbox is complete."""
        return self.batch[0]["_id"] - 1 if self.batch else self.last


class OutboxCollection(Tables):
    """The verbs of the protocol that event logs use.

    What every group is done with goes in batches; the last of it with purge_tombstones.
    """

    _trim_at = 0

    async def subscribe(self, group: str) -> None:
        if await self._subscriptions.one({"_id": group}):
            return
        counter = await self.collect()
        await self._subscriptions.insert({"_id": group, "cursor": counter.last})

    async def unsubscribe(self, group: str) -> None:
        if await self._subscriptions.delete({"_id": group}):
            await self.collect()
            await self._trim()

    async def groups(self) -> list[str]:
        return [found["_id"] for found in await self._subscriptions.many({})]

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        subscription = await self._subscriptions.one({"_id": group})
        if subscription is None:
            return []
        counter = await self.collect(limit=limit)
        numbers = {"$gt": max(after, subscription["cursor"]), "$lte": counter.published}
        found = await self._outbox.many({"_id": numbers}, limit=limit)
        return [(event["_id"], EVENT.decode(event["event"])) for event in found]

    async def acknowledge(self, group: str, sequence: int) -> None:
        behind = {"_id": group, "cursor": {"$lt": sequence}}
        moved = await self._subscriptions.update(behind, {"$set": {"cursor": sequence}})
        if moved and sequence >= self._trim_at:
            self._trim_at = sequence + TRIM_EVERY
            await self._trim()

    async def collect(self, *, limit: int | None = None) -> Counter:
        """Give numbers to events that wait: to all, or to `limit` or some more. The counter then.

        Where others do so at the same time, some may be left to them.
        """
        counter = await self._counter()
        enough = counter.last + limit if limit else inf
        for _ in range(ROUNDS):
            if counter.batch:
                await self._finish(counter)
            elif counter.last >= enough or not await self._begin(counter):
                return counter
            counter = await self._counter()
        return counter

    @property
    def _outbox(self) -> Collection:
        return self._connection.collection("outbox")

    @property
    def _counters(self) -> Collection:
        return self._connection.collection("counters")

    async def _counter(self) -> Counter:
        found = await self._counters.one({"_id": COUNTER})
        if found is None:
            return Counter(0, [], None)
        return Counter(found["last"], found["batch"], found["revision"])

    async def _set(self, counter: Counter, last: int, batch: Sequence[Document]) -> None:
        """Set the counter, unless it was set meanwhile."""
        fields = {"last": last, "batch": list(batch), "revision": ObjectId()}
        if counter.revision is None:
            await self._counters.insert({"_id": COUNTER, **fields})
        else:
            same = {"_id": COUNTER, "revision": counter.revision}
            await self._counters.update(same, {"$set": fields})

    async def _begin(self, counter: Counter) -> bool:
        """Give numbers to a batch; False where no event waits."""
        found = await self._keys.collection.many(
            {"events.stamp": {"$exists": True}},
            order=(("events.stamp", 1),),
            limit=BATCH,
            fields=["events"],
        )
        batch = numbered(found, counter.last + 1)
        if batch:
            await self._set(counter, batch[-1]["_id"], batch)
        return bool(batch)

    async def _finish(self, counter: Counter) -> None:
        """Put the batch into the outbox, and take it out of the keys' documents."""
        await self._outbox.insert_missing(counter.batch)
        await self._keys.collection.update_each(list(map(taking_out, counter.batch)))
        await self._set(counter, counter.last, [])

    async def _trim(self) -> None:
        """Drop what every group is done with; all that has a number where nobody subscribes."""
        counter = await self._counter()
        cursors = [found["cursor"] for found in await self._subscriptions.many({})]
        done = min([*cursors, counter.published])
        await self._outbox.delete_all({"_id": {"$lte": done}})


def numbered(documents: Sequence[Document], first: int) -> list[Document]:
    """The oldest events of these, as the outbox keeps them: by version, so in order for each key.

    One document has its events in the order of their versions, so none is passed over.
    """
    waiting = [(found["_id"], event) for found in documents for event in events_of(found)]
    waiting.sort(key=lambda one: EVENT.decode(one[1]["event"]).version)
    return [
        {"_id": number, "object": place, "name": event["name"], "event": event["event"]}
        for number, (place, event) in enumerate(waiting[:BATCH], start=first)
    ]


def taking_out(event: Document) -> tuple[Filter, Filter]:
    """The update that takes a numbered event out of its key's document, if it is there."""
    name = event["name"]
    there = {"_id": event["object"], "events.name": name}
    return there, {"$pull": {"events": {"name": name}}, "$set": {"revision": ObjectId()}}
