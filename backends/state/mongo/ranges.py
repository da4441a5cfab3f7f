"""Ranges of keys in MongoDB, as they are compared: digests, and where to split."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from bson import ObjectId

from backends.bounded import bounded
from backends.fingerprint import MODULUS
from backends.model import KeyRange, RangeDigest, stamp_at
from backends.state.mongo.connection import Document, Filter, Order
from backends.state.mongo.documents import (
    HALF,
    fingerprint_fields,
    inventory_row,
    parted,
)
from backends.state.mongo.objects import keys_within
from backends.state.mongo.schema import FINGERPRINTS
from backends.state.mongo.tables import Tables

AT_ONCE: Final = 16
BATCH: Final = 1000
LIVE: Final[Order] = FINGERPRINTS[0].keys
BURIED: Final[Order] = FINGERPRINTS[1].keys
NOTHING: Final[Document] = {"rows": 0, "taken": 0, "low": 0, "high": 0}


class RangeCollection(Tables):
    """The verbs of the protocol that compare."""

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        bucket_id = await self._require_bucket(bucket)
        live = {"live.bucket": bucket_id, "live.stamp": {"$lt": stamp_at(before)}}
        stamps = {"$gte": stamp_at(buried_since), "$lt": stamp_at(before)}
        digest = partial(self._digest, bucket, live, {"tombstone.stamp": stamps})
        return await bounded(digest, ranges, at_once=AT_ONCE)

    async def split(self, bucket: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        bucket_id = await self._require_bucket(bucket)
        cut = partial(self._cuts, bucket, within, every=every, limit=limit)
        live, buried = await asyncio.gather(
            cut({"live.bucket": bucket_id}, LIVE), cut({"tombstone.stamp": {"$gte": 0}}, BURIED)
        )
        return sorted({*live, *buried})[:limit]

    async def _digest(
        self, bucket: str, live: Filter, buried: Filter, within: KeyRange
    ) -> RangeDigest:
        keys = {"_id": keys_within(bucket, within)}
        objects, tombstones = await asyncio.gather(
            self._sums("live", {**live, **keys}, LIVE),
            self._sums("tombstone", {**keys, **buried}, BURIED),
        )
        total = objects["low"] + tombstones["low"]
        total += (objects["high"] + tombstones["high"]) << HALF
        return RangeDigest(objects["rows"], tombstones["rows"], total % MODULUS)

    async def _sums(self, field: str, of: Filter, index: Order) -> Document:
        keys = self._keys.collection
        while True:
            found = await keys.total(of, sums_of(field), index) or NOTHING
            if found["taken"] == found["rows"]:
                return found
            await self._take_fingerprints(field, of, index)

    async def _take_fingerprints(self, field: str, of: Filter, index: Order) -> None:
        """Of rows that a release wrote that took none."""
        untaken = {**of, f"{field}.low": None}
        keys = self._keys.collection
        while found := await keys.many(untaken, order=index[:2], limit=BATCH, hint=index):
            await keys.update_each([_taking(field, document) for document in found])

    async def _cuts(
        self,
        bucket: str,
        within: KeyRange,
        of: Filter,
        index: Order,
        *,
        every: int,
        limit: int,
    ) -> list[str]:
        """Every so many-th key of the range, by an index."""
        cuts: list[str] = []
        after = within.after
        while len(cuts) < limit:
            found = await self._keys.collection.many(
                {**of, "_id": keys_within(bucket, KeyRange(after, within.upto))},
                order=index[: index.index(("_id", 1)) + 1],
                skip=every - 1,
                limit=1,
                fields=["_id"],
                hint=index,
            )
            if not found:
                return cuts
            _, after = parted(found[0]["_id"])
            cuts.append(after)
        return cuts


def sums_of(field: str) -> dict[str, Any]:
    """What a digest adds up of rows in that field."""
    return {
        "rows": {"$sum": 1},
        "taken": {"$sum": {"$cond": [{"$isNumber": f"${field}.low"}, 1, 0]}},
        "low": {"$sum": f"${field}.low"},
        "high": {"$sum": f"${field}.high"},
    }


def _taking(field: str, document: Document) -> tuple[Filter, Filter]:
    """The update that gives a row its fingerprint, if the document is as it was read."""
    halves = fingerprint_fields(inventory_row(document)).items()
    same = {"_id": document["_id"], "revision": document["revision"]}
    taken = {f"{field}.{half}": value for half, value in halves}
    return same, {"$set": {"revision": ObjectId(), **taken}}
