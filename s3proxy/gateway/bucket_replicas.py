"""Buckets as all sites share them: told when they are made or removed here, applied when elsewhere.

The fact that a bucket is there is a document, so that the last of several changes wins at every
site. A bucket that still holds objects here is not removed by another site: it is given back.
"""

import contextlib
from typing import Final

from msgspec import MsgspecError, json

from backends.clock import milliseconds
from backends.errors import BucketNotFound, NotEmpty, NotFound, Refused
from backends.model import Bucket, Facts, Version
from backends.state.protocol import StateStore
from backends.state.transfer import every_bucket
from backends.storage.protocol import ObjectStore
from replication.documents import FIELD, SYSTEM, Documents
from replication.topology import BUCKETS, BucketFacts
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.elsewhere import Elsewhere
from s3proxy.gateway.names import require_bucket_name
from s3proxy.gateway.placement import Placement

SETTLED: Final = 60_000


class BucketReplicas:
    """The rules of buckets that other sites have, too.

    `looks`: a bucket that is missing here is looked for there.
    """

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        shared: Documents,
        placement: Placement,
        remote: Elsewhere,
        *,
        looks: bool = True,
    ) -> None:
        self._state = state
        self._store = store
        self._shared = shared
        self._placement = placement
        self._remote = remote
        self._looks = looks
        self._buckets = Buckets(state, store, placement)

    async def made(self, bucket: Bucket) -> None:
        """Tell the sites of a bucket that is there now, unless they know."""
        if not await self._shared.has(BUCKETS + bucket.name):
            facts = BucketFacts(bucket.owner, bucket.created, bucket.region)
            await self._shared.put(BUCKETS + bucket.name, facts)

    async def removed(self, name: str) -> None:
        """Tell the sites that a bucket is gone."""
        await self._shared.drop(BUCKETS + name)

    async def fetched(self, name: str) -> bool:
        """Make a bucket that is missing here as another site has it; whether there was one."""
        if name in SYSTEM or not self._looks:
            return False
        remote = await self._remote.find(self._shared.bucket, BUCKETS + name)
        return remote is not None and await self.put(name, remote.facts)

    async def put(self, name: str, facts: Facts) -> bool:
        """Make a bucket that another site made, unless something newer is known of it here.

        Refused where another client has a bucket of that name here.
        """
        if await self._is_known(name, facts.version):
            return False
        wanted = _bucket_facts(name, facts)
        await self._make(name, wanted)
        return await self._shared.apply(BUCKETS + name, facts)

    async def delete(self, name: str, version: Version) -> bool:
        """Remove a bucket that another site removed; one that holds objects is given back."""
        if await self._is_known(name, version):
            return False
        try:
            await self._buckets.delete(name)
        except BucketNotFound:
            return await self._shared.bury(BUCKETS + name, version)
        except NotEmpty:
            await self._shared.bury(BUCKETS + name, version)
            await self.made(await self._state.bucket(name))
            return False
        return await self._shared.bury(BUCKETS + name, version)

    async def settle(self) -> None:
        """Tell what a crash left untold, and what was there before there were sites."""
        told = {
            document.name.removeprefix(BUCKETS) async for document in self._shared.each(BUCKETS)
        }
        there = await self._names()
        for name in there - told:
            with contextlib.suppress(BucketNotFound):
                await self.made(await self._state.bucket(name))
        for name in told - there:
            await self._drop_if_settled(name)

    async def _drop_if_settled(self, name: str) -> None:
        """A bucket that is just being made has its document last: only an old one is left over."""
        with contextlib.suppress(NotFound):
            document = await self._shared.find(BUCKETS + name)
            if document.version.milliseconds < milliseconds() - SETTLED:
                await self._shared.drop(BUCKETS + name)

    async def _names(self) -> set[str]:
        return {bucket.name async for bucket in every_bucket(self._state)} - SYSTEM

    async def _is_known(self, name: str, version: Version) -> bool:
        newest = await self._state.newest(self._shared.bucket, BUCKETS + name)
        return newest is not None and newest.version >= version

    async def _make(self, name: str, facts: BucketFacts) -> None:
        require_bucket_name(name)
        storage = self._placement.choose(name, facts.region)
        wanted = Bucket(name, facts.owner, facts.created, facts.region, storage)
        await self._store.create_bucket(wanted)
        bucket = await self._state.create_bucket(wanted)
        if bucket.owner != facts.owner:
            raise Refused(
                f"the bucket {name} is {bucket.owner}'s here and {facts.owner}'s there: "
                "remove one of them, or give it another name"
            )


def _bucket_facts(name: str, facts: Facts) -> BucketFacts:
    try:
        return json.decode(facts.metadata.get(FIELD, ""), type=BucketFacts)
    except MsgspecError as error:
        raise Refused(f"the document of the bucket {name} is none: {error}") from error
