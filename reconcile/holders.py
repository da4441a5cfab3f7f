"""Those whose buckets are compared: this site, other sites, whatever lists its keys in order."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from backends.errors import BucketNotFound
from backends.model import KeyRange, RangeDigest
from backends.state.protocol import StateStore
from replication.messages import Listed, RangePage
from replication.ranges import digest_with, digests_in, rows_in

HERE: Final = ""  # no other site is called so
Listing = Callable[[str, KeyRange], AsyncGenerator[Listed, None]]


class Holder(Protocol):
    """Has rows of buckets. A bucket that it does not have is an empty one.

    An error is an error: it never means that something is absent.
    """

    @property
    def name(self) -> str: ...

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        """What each range amounts to; as `StateStore.digests`."""

    async def rows(self, bucket: str, ranges: Sequence[KeyRange], *, limit: int) -> RangePage:
        """The first rows of the ranges, which are in order and do not overlap; however new."""


class Here(Holder, Protocol):
    """The holder that says where ranges are cut."""

    async def split(self, bucket: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        """As `StateStore.split`; no key where there is no such bucket."""


class StateHolder:
    """What a state knows; as Here."""

    def __init__(self, state: StateStore, name: str = HERE) -> None:
        self._state = state
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        return await digests_in(
            self._state, bucket, ranges, before=before, buried_since=buried_since
        )

    async def rows(self, bucket: str, ranges: Sequence[KeyRange], *, limit: int) -> RangePage:
        return await rows_in(self._state, bucket, ranges, limit=limit)

    async def split(self, bucket: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        try:
            return await self._state.split(bucket, within, every=every, limit=limit)
        except BucketNotFound:
            return []


class ListingHolder:
    """A holder that can only list: each question reads the ranges it is about, in order.

    `listing` answers the rows of a bucket's range, by key; BucketNotFound.
    """

    def __init__(self, name: str, listing: Listing) -> None:
        self._name = name
        self._listing = listing

    @property
    def name(self) -> str:
        return self._name

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        return [
            await self._digest(bucket, within, before=before, buried_since=buried_since)
            for within in ranges
        ]

    async def rows(self, bucket: str, ranges: Sequence[KeyRange], *, limit: int) -> RangePage:
        rows: list[Listed] = []
        for within in ranges:
            async with aclosing(self._listed(bucket, within)) as found:
                async for row in found:
                    rows.append(row)
                    if len(rows) == limit:
                        return RangePage(tuple(rows), row.key)
        return RangePage(tuple(rows))

    async def _digest(
        self, bucket: str, within: KeyRange, *, before: int, buried_since: int
    ) -> RangeDigest:
        digest = RangeDigest()
        async with aclosing(self._listed(bucket, within)) as found:
            async for row in found:
                if row.counts(before=before, buried_since=buried_since):
                    digest = digest_with(digest, row)
        return digest

    async def _listed(self, bucket: str, within: KeyRange) -> AsyncGenerator[Listed, None]:
        try:
            async with aclosing(self._listing(bucket, within)) as found:
                async for row in found:
                    yield row
        except BucketNotFound:
            return
