"""Changes that other sites made, applied here under the versions that they have there."""

import contextlib
from collections.abc import Awaitable, Sequence
from hashlib import blake2b

from backends.clock import milliseconds
from backends.errors import Corrupt, InvalidPart, Superseded, UploadNotFound
from backends.model import Facts, Part, Row, Upload, Version
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.incoming import Copied, Incoming
from s3proxy.gateway.leases import Lease
from s3proxy.gateway.lost_buckets import remade
from s3proxy.gateway.pulling import Pulls
from s3proxy.gateway.uploads import REPLICA, Chosen, join_parts, named, store_part
from s3proxy.gateway.writes import Writes


class Replicas:
    """The rules of replicas over one state and one storage. Nobody is told of what they change.

    Each verb may come again, and late. Where one answers whether, True says that the key's newest
    row is of that version now, False that a newer one is here. Busy where another writer is at the
    same version. BucketNotFound. `pulls` make the row of what is here without one: that may be
    newer, too.
    """

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        writes: Writes,
        discards: Discards,
        pulls: Pulls | None = None,
    ) -> None:
        self._state = state
        self._store = store
        self._writes = writes
        self._discards = discards
        self._pulls = pulls

    async def put(
        self, bucket: str, key: str, body: Incoming, facts: Facts, *, again: bool = False
    ) -> bool:
        """Store a body under its facts, which are complete and stay as they are.

        The body is not read where what is here is as new. Corrupt, and nothing is stored, where
        it is not of the size that the facts say, or not of the MD5 where their ETag is one. With
        `again` the row of these facts is here and its bytes are gone: it gets these instead.
        """

        async def store(lease: Lease) -> Row:
            await lease.take()
            if body.size not in (None, facts.size):
                raise Corrupt(f"{bucket}/{key}: {body.size} bytes come for {facts.size}")
            copied = Copied(body, facts, lease)
            stored = await self._store.put(bucket, key, copied, replacing=lease.replacing)
            return Row(bucket, key, facts, stored.locator)

        await self._make_known(bucket, key)
        applied = self._writes.apply(bucket, key, facts.version, store, again=again)
        return await self._unless_superseded(bucket, key, facts.version, applied)

    async def delete(self, bucket: str, key: str, version: Version) -> bool:
        """Leave a tombstone of that version, also where no object is."""
        await self._make_known(bucket, key)
        if self._writes.in_place:
            removed = self._writes.apply_removal(bucket, key, version)
            return await self._unless_superseded(bucket, key, version, removed)
        tombstone = Row(bucket, key, Facts(version), deleted=True)
        committed = await self._state.commit(tombstone, None)
        self._discards.add(committed.replaced)
        return committed.won

    async def begin(self, bucket: str, key: str, facts: Facts) -> list[Part] | None:
        """Begin to take an object in parts, or go on: the parts that are here already.

        None where what is here is as new: the upload, if there was one, is over then.
        """
        version = facts.version
        await self._make_known(bucket, key)
        try:
            async with self._writes.at_version(bucket, key, version):
                upload = await self._upload(bucket, key, facts)
        except Superseded:
            await self.abort(bucket, key, version)
            return None
        return await self._state.parts(bucket, key, upload.name)

    async def put_part(
        self, bucket: str, key: str, version: Version, number: int, body: Incoming
    ) -> Part:
        """Store one part; the same number may come again.

        UploadNotFound where the upload has to begin anew; Superseded where what is here is as new
        by now: the upload is over then.
        """
        try:
            upload = await self._state.upload(bucket, key, upload_name(bucket, key, version))
            await self._require_newer(bucket, key, version)
            return await store_part(self._state, self._store, upload, number, body)
        except (Superseded, UploadNotFound):
            await self.abort(bucket, key, version)
            raise

    async def complete(self, bucket: str, key: str, facts: Facts, parts: Sequence[Chosen]) -> bool:
        """Join the parts that are named into the object of those facts; the upload ends.

        PartsOutOfOrder, InvalidPart; Corrupt where they do not amount to the size of the facts.
        UploadNotFound where the upload has to begin anew.
        """
        version = facts.version
        await self._make_known(bucket, key)
        try:
            await self._require_newer(bucket, key, version)
            upload = await self._state.upload(bucket, key, upload_name(bucket, key, version))
            return await self._complete(upload, facts, parts)
        except Superseded:
            await self.abort(bucket, key, version)
            return await self._is_newest(bucket, key, version)

    async def abort(self, bucket: str, key: str, version: Version) -> None:
        """Drop the upload and its parts; one that is not there is no error."""
        name = upload_name(bucket, key, version)
        with contextlib.suppress(UploadNotFound):
            upload = await self._state.upload(bucket, key, name)
            await self._store.abort_upload(bucket, key, upload.token)
            await self._state.delete_upload(bucket, key, name)

    async def _make_known(self, bucket: str, key: str) -> None:
        """Return when what is here has a row."""
        if self._pulls:
            await self._pulls.pull(bucket, key)

    async def _upload(self, bucket: str, key: str, facts: Facts) -> Upload:
        """The upload of that version, made here unless it is there."""
        name = upload_name(bucket, key, facts.version)
        with contextlib.suppress(UploadNotFound):
            return await self._state.upload(bucket, key, name)
        async with remade(self._state, self._store, bucket):
            token = await self._store.create_upload(bucket, key, facts)
        upload = Upload(
            bucket,
            key,
            name,
            token=token,
            started=milliseconds(),
            owner=facts.owner,
            headers=facts.headers,
            metadata=facts.metadata,
            storage_class=facts.storage_class,
        )
        await self._state.create_upload(upload)
        return upload

    async def _complete(self, upload: Upload, facts: Facts, parts: Sequence[Chosen]) -> bool:
        bucket, key = upload.bucket, upload.key
        chosen = named(parts, await self._state.parts(bucket, key, upload.name))
        size = sum(part.size for part in chosen)
        if size != facts.size:
            raise Corrupt(f"{bucket}/{key}: the parts have {size} bytes, not {facts.size}")

        async def join(lease: Lease) -> Row:
            await lease.take()
            await lease.settle()
            return await join_parts(self._store, upload, chosen, facts, lease.replacing)

        try:
            return await self._writes.apply(bucket, key, facts.version, join, upload=upload.name)
        except (InvalidPart, UploadNotFound):
            await self.abort(bucket, key, facts.version)
            raise

    async def _unless_superseded(
        self, bucket: str, key: str, version: Version, applied: Awaitable[bool]
    ) -> bool:
        try:
            return await applied
        except Superseded:
            return await self._is_newest(bucket, key, version)

    async def _is_newest(self, bucket: str, key: str, version: Version) -> bool:
        newest = await self._state.newest(bucket, key)
        return newest is not None and newest.version == version

    async def _require_newer(self, bucket: str, key: str, version: Version) -> None:
        newest = await self._state.newest(bucket, key)
        if newest and newest.version >= version:
            raise Superseded(f"{bucket}/{key}: {version} is not above {newest.version}")


def upload_name(bucket: str, key: str, version: Version) -> str:
    """The name of the upload that brings this version, the same whenever it is asked for.

    Two keys may have rows of one version, and no two uploads may have one name.
    """
    place = blake2b(f"{bucket}/{key}".encode(), digest_size=8).hexdigest()
    return f"{REPLICA}{version}-{place}"
