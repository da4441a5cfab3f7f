"""What a crash left to do, in MongoDB: intents, discards, tombstones; and who does it."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from bson import ObjectId

from backends.model import COUNTER_BITS, Discard, Intent
from backends.state.mongo import decisions
from backends.state.mongo.buckets import BucketCollection
from backends.state.mongo.connection import Document, Filter
from backends.state.mongo.documents import id_of, key_of, parted
from backends.state.mongo.keys import names_of
from backends.state.mongo.leases import acquire
from backends.state.mongo.outbox import OutboxCollection

BATCH: Final = 500


class Age(NamedTuple):
    """Where tombstones that fit say how old they are: milliseconds, then so many bits."""

    field: str
    bits: int
    of: Filter


# Since when it is here; of one that a release wrote that did not keep it, its version.
AGES: Final = (
    Age("since", 0, {}),
    Age("stamp", COUNTER_BITS, {"tombstone.since": {"$exists": False}}),
)


class LeftoverCollection(BucketCollection, OutboxCollection):
    """The verbs of the protocol that recovery uses."""

    async def claim_expired_intents(self, *, lease: int, limit: int) -> list[Intent]:
        claimed: list[Intent] = []
        for place, count in (await self._expired(limit)).items():
            claimed += await self._claim(place, count, self._now() + lease)
        return claimed

    async def drop_intent(self, intent: Intent) -> None:
        await self._keys.change(
            intent.bucket, intent.key, lambda found: decisions.drop(found, intent.version)
        )

    async def unsettled(self) -> int:
        found = await self._keys.collection.many(
            {"intents.expires": {"$exists": True}},
            order=(("intents.expires", 1),),
            fields=["intents.expires"],
        )
        return sum(len(document["intents"]) for document in found)

    async def discards(self, *, older_than: int, limit: int) -> list[Discard]:
        before = self._now() - older_than
        found = await self._keys.collection.many(
            {"discards.since": {"$lt": before}},
            order=(("discards.since", 1),),
            limit=limit,
            fields=["discards"],
        )
        dropped = sorted(
            (one["since"], *parted(document["_id"]), one["locator"])
            for document in found
            for one in document["discards"]
            if one["since"] < before
        )
        return [Discard(*place) for _, *place in dropped[:limit]]

    async def drop_discards(self, discards: Sequence[Discard]) -> None:
        if discards:
            await self._keys.collection.update_each(list(map(_without, discards)))

    async def purge_tombstones(self, *, older_than: int, limit: int) -> int:
        await self.collect()
        await self._trim()
        before = self._now() - older_than
        await self._sweep_graves(before)
        purged = 0
        for age in AGES:
            purged += await self._purge(age, before, limit - purged)
        return purged

    async def acquire(self, name: str, holder: str, *, lease: int) -> bool:
        leases = self._connection.collection("leases")
        return await acquire(leases, name, holder, now=self._now(), lease=lease)

    async def _claim(self, place: str, count: int, expires: int) -> list[Intent]:
        return await self._keys.change(
            *parted(place),
            lambda found: decisions.claim(found, now=self._now(), expires=expires, limit=count),
        )

    async def _expired(self, limit: int) -> Counter[str]:
        """The keys of the intents that expired first, and how many each has."""
        now = self._now()
        found = await self._keys.collection.many(
            {"intents.expires": {"$lte": now}},
            order=(("intents.expires", 1),),
            limit=limit,
            fields=["intents"],
        )
        intents = (intent for document in found for intent in key_of(document).intents)
        expired = sorted(
            (one for one in intents if one.expires <= now), key=lambda one: one.expires
        )
        return Counter(id_of(intent.bucket, intent.key) for intent in expired[:limit])

    async def _purge(self, age: Age, before: int, limit: int) -> int:
        """How many went, at most so many. More than a batch of one moment may wait for the next."""
        purged, above = 0, -1
        while purged < limit and (found := await self._buried(age, above, before << age.bits)):
            for place in (await self._told(found))[: limit - purged]:
                purged += await self._keys.change(
                    *parted(place), lambda key: decisions.purge(key, before=before)
                )
            above = found[-1]["tombstone"][age.field]
        return purged

    async def _buried(self, age: Age, above: int, below: int) -> list[Document]:
        field = f"tombstone.{age.field}"
        return await self._keys.collection.many(
            {field: {"$gt": above, "$lt": below}, **age.of},
            order=((field, 1),),
            limit=BATCH,
            fields=["tombstone"],
        )

    async def _told(self, found: Sequence[Document]) -> list[str]:
        """The names of those of whose keys the outbox holds no event."""
        unread = await self._outbox.many(
            {"object": {"$in": names_of(found)}}, order=(("object", 1),), fields=["object"]
        )
        held = {event["object"] for event in unread}
        return [place for place in names_of(found) if place not in held]

    async def _sweep_graves(self, before: int) -> None:
        """Drop what commits that were killed have put into buckets removed long ago."""
        for grave in await self._graves.many({"since": {"$lt": before}}, order=(("since", 1),)):
            bucket_id: ObjectId = grave["_id"]
            if await self._bucket_id(grave["name"]) != bucket_id:
                await self._drop_rows(bucket_id)
            await self._graves.delete({"_id": bucket_id})


def _without(discard: Discard) -> tuple[Filter, Filter]:
    """The update that forgets the discard, if it is there."""
    locator = discard.locator
    there = {"_id": id_of(discard.bucket, discard.key), "discards.locator": locator}
    return there, {"$pull": {"discards": {"locator": locator}}, "$set": {"revision": ObjectId()}}
