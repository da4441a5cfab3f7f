"""Objects of a storage that is none of ours, written here as a client would write them."""

from collections.abc import AsyncIterator
from hashlib import md5
from typing import Final

from msgspec.structs import replace

from backends.model import Bucket, Checksum, Facts, Precondition, Row, Version
from backends.storage.protocol import Fetched
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.proof import Proof

OPERATION: Final = "mirror"
UNSETTLED: Final = Version(0, "")


class Found:
    """As Incoming: the bytes of a storage, which have to be those that it told of.

    They keep their ETag; where they have none it is their MD5.
    """

    def __init__(self, found: Fetched, what: str) -> None:
        self._facts = replace(found.stored.facts, size=found.stored.size)
        self._body = found.body
        self._what = what
        self._digest = None if self._facts.etag else md5(usedforsecurity=False)
        self.size: int | None = found.stored.size
        self.received = 0

    @property
    def etag(self) -> str:
        return self._digest.hexdigest() if self._digest else self._facts.etag

    @property
    def checksum(self) -> Checksum | None:
        return self._facts.checksum

    async def __aiter__(self) -> AsyncIterator[bytes]:
        proof = Proof(self._facts)
        async for block in self._body:
            self.received += len(block)
            proof.update(block)
            if self._digest:
                self._digest.update(block)
            yield block
        proof.require(self._what)


class Intake:
    """As reconcile.mirror.exchange.Intake, over the rules of objects."""

    def __init__(self, objects: ObjectRules) -> None:
        self._objects = objects

    async def take(self, bucket: Bucket, key: str, found: Fetched, row: Row | None) -> None:
        """As promised there."""
        condition = Precondition(none_match="*")
        if row:
            condition = Precondition(match=row.facts.etag or "*")
        body = Found(found, f"{bucket.name}/{key}")
        facts = facts_of(found.stored.facts, bucket.owner)
        await self._objects.put(bucket.name, key, body, facts, OPERATION, condition=condition)


def facts_of(told: Facts, owner: str) -> Facts:
    """What a write is to have of what the storage told; its version is yet to come."""
    owned = told.owner or owner
    return replace(told, version=UNSETTLED, owner=owned, upload="", listed=False)
