"""What reconciliation changes here: objects and documents of other sites, taken over."""

from typing import Final

from backends.errors import BucketNotFound
from backends.model import Precondition, Row, Version
from replication.documents import SHARED
from s3proxy.gateway.bucket_replicas import BucketReplicas
from s3proxy.gateway.elsewhere import Remote
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.shared_documents import SharedDocuments
from s3proxy.gateway.transfer import Transfer

OPERATION: Final = "reconcile"


class Alignment:
    """Takes objects over the rules of replicas, and rewrites them over those of `objects`."""

    def __init__(
        self,
        replicas: Replicas,
        objects: ObjectRules,
        documents: SharedDocuments,
        buckets: BucketReplicas,
    ) -> None:
        self._replicas = replicas
        self._objects = objects
        self._documents = documents
        self._buckets = buckets

    async def take(self, remote: Remote) -> bool:
        """Store what a site has, under its version; False where something newer is here.

        Its bucket is made first where it is missing.
        """
        if remote.bucket == SHARED:
            return await self._documents.put(remote.key, remote.facts)
        try:
            return await self._store(remote)
        except BucketNotFound:
            if not await self._buckets.fetched(remote.bucket):
                raise
        return await self._store(remote)

    async def _store(self, remote: Remote) -> bool:
        return await self._replicas.put(remote.bucket, remote.key, Transfer(remote), remote.facts)

    async def bury(self, bucket: str, key: str, version: Version) -> bool:
        """Delete as of that version; False where something newer is here."""
        if bucket == SHARED:
            return await self._documents.delete(key, version)
        return await self._replicas.delete(bucket, key, version)

    async def rewrite(self, row: Row, remote: Remote | None) -> None:
        """Give the object, or what `remote` has of it, a new version; others hear of that.

        PreconditionFailed where another object is here by now.
        """
        place, unchanged = (row.bucket, row.key), Precondition(match=row.facts.etag)
        if remote is None:
            await self._objects.copy(
                place, *place, lambda found: found.facts, OPERATION, condition=unchanged
            )
        else:
            body = Transfer(remote)
            await self._objects.put(*place, body, remote.facts, OPERATION, condition=unchanged)
