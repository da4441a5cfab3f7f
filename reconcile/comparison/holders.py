"""Those whose buckets are compared: this site and other sites."""

from collections.abc import Sequence
from typing import Final, Protocol

from backends.errors import BucketNotFound
from backends.model import KeyRange, RangeDigest, Row
from backends.state.protocol import StateStore
from replication.client import SiteClient
from replication.messages import Listed, RangePage
from replication.ranges import digests_in, listed, rows_in

HERE: Final = ""  # no other site is called so


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


async def row_there(site: SiteClient, bucket: str, key: str) -> Listed | None:
    """What a site has of one key. As SiteClient."""
    found = await site.find(bucket, key)
    if found.facts is None:
        return None
    return listed(Row(bucket, key, found.facts, deleted=found.deleted))
