"""Buckets under a prefix, so that one account of a storage serves several gateways."""

from collections.abc import AsyncIterator

from msgspec.structs import replace

from backends.model import Bucket
from backends.storage.layers.forwarding import Forwarding
from backends.storage.protocol import ObjectStore


class Prefixed(Forwarding):
    """Puts `prefix` before the name of each bucket; buckets without it are not seen."""

    def __init__(self, inner: ObjectStore, prefix: str) -> None:
        super().__init__(inner)
        self._prefix = prefix

    async def _at(self, bucket: str) -> tuple[ObjectStore, str]:
        return self._inner, self._prefix + bucket

    async def buckets(self) -> AsyncIterator[Bucket]:
        async for bucket in super().buckets():
            if bucket.name.startswith(self._prefix):
                yield replace(bucket, name=bucket.name.removeprefix(self._prefix))
