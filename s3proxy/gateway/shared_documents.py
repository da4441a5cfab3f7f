"""What sites share of themselves, applied here as another site has it."""

from collections.abc import Awaitable, Callable

from backends.model import Facts, Version
from replication.documents import Documents
from replication.topology import BUCKETS
from s3proxy.gateway.bucket_replicas import BucketReplicas


class SharedDocuments:
    """Documents of all sites; those of buckets make and remove buckets. `changed` hears of others.

    Each verb answers whether the document is of that version now; False: a newer one is here.
    """

    def __init__(
        self, shared: Documents, buckets: BucketReplicas, changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._shared = shared
        self._buckets = buckets
        self._changed = changed

    async def put(self, name: str, facts: Facts) -> bool:
        """Write it under the version it has elsewhere. Refused as BucketReplicas."""
        if name.startswith(BUCKETS):
            return await self._buckets.put(name.removeprefix(BUCKETS), facts)
        applied = await self._shared.apply(name, facts)
        await self._changed()
        return applied

    async def delete(self, name: str, version: Version) -> bool:
        """Remove it as it was removed elsewhere."""
        if name.startswith(BUCKETS):
            return await self._buckets.delete(name.removeprefix(BUCKETS), version)
        buried = await self._shared.bury(name, version)
        await self._changed()
        return buried
