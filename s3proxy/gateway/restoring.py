"""Objects that are missing here, read from another site while the caller waits, and kept."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Final, NamedTuple

from backends.errors import BackendError, BucketNotFound, Corrupt, NotFound
from backends.model import UNCONDITIONAL, Facts, Precondition, Row
from backends.state.protocol import StateStore
from s3proxy.gateway.elsewhere import Elsewhere, Remote
from s3proxy.gateway.forwarding import ForwardingObjects
from s3proxy.gateway.objects import ObjectRules, Reading, Span
from s3proxy.gateway.proof import Proof
from s3proxy.gateway.remote_reads import OFF, RESTORE, RemoteReads
from s3proxy.gateway.restores import Restores
from s3proxy.gateway.transfer import Transfer, proved

PATIENCE: Final = 30.0
MISSING: Final = (NotFound, Corrupt)
Place = tuple[str, str]


class Found(NamedTuple):
    """An object that other sites have. `keeps`: it is to be kept here.

    `again`: its row is here, and the bytes of that are gone.
    """

    remote: Remote
    keeps: bool
    again: bool

    @property
    def row(self) -> Row:
        """As it would be here."""
        return Row(self.remote.bucket, self.remote.key, self.remote.facts)


class RestoringObjects(ForwardingObjects):
    """As Objects; what is missing is looked for at other sites, but never behind a tombstone.

    As `reads` says of the bucket, what is read whole from another site is kept here, in the same
    transfer; of an object that is read in pieces, the whole is fetched behind the caller's back.
    """

    def __init__(
        self,
        objects: ObjectRules,
        state: StateStore,
        remote: Elsewhere,
        restores: Restores,
        reads: RemoteReads,
    ) -> None:
        super().__init__(objects)
        self._state = state
        self._remote = remote
        self._restores = restores
        self._reads = reads

    async def find(self, bucket: str, key: str) -> Row:
        """As Objects."""
        try:
            return await self._objects.find(bucket, key)
        except BucketNotFound:
            raise
        except NotFound as missing:
            found = await self._elsewhere(bucket, key, missing)
            if found is None:
                raise
            return found.row

    async def read(
        self,
        bucket: str,
        key: str,
        decide: Callable[[Row], Span | None],
        *,
        whole: bool = False,
    ) -> Reading:
        """As Objects. Also where the row is here and its bytes are not."""
        try:
            return await self._objects.read(bucket, key, decide, whole=whole)
        except BucketNotFound:
            raise
        except MISSING as missing:
            found = await self._elsewhere(bucket, key, missing)
            if found is None:
                raise
            return self._read_there(found, decide(found.row))

    async def copy(
        self,
        source: Place,
        bucket: str,
        key: str,
        decide: Callable[[Row], Facts],
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """As Objects; a source that is missing is fetched first, or else copied from there."""
        try:
            return await self._objects.copy(
                source, bucket, key, decide, operation, condition=condition
            )
        except BucketNotFound:
            raise
        except MISSING as missing:
            found = await self._elsewhere(*source, missing)
            if found is None:
                raise
        if found.keeps:
            self._restores.begin(found.remote, again=found.again)
            await self._restores.wait(*source, PATIENCE)
            with suppress(*MISSING):
                return await self._objects.copy(
                    source, bucket, key, decide, operation, condition=condition
                )
        body, facts = Transfer(found.remote), decide(found.row)
        return await self._objects.put(bucket, key, body, facts, operation, condition=condition)

    async def _elsewhere(self, bucket: str, key: str, missing: BackendError) -> Found | None:
        """What other sites have of what is missing; None behind a tombstone, or where it is older.

        Corrupt says that the row is here.
        """
        reads = await self._reads.of(bucket)
        known = await self._state.newest(bucket, key)
        if reads == OFF or (known and known.deleted):
            return None
        remote = await self._remote.find(bucket, key)
        if remote is None or (known and remote.facts.version < known.version):
            return None
        same = known is not None and known.version == remote.facts.version
        again = same and isinstance(missing, Corrupt)
        return Found(remote, reads == RESTORE, again)

    def _read_there(self, found: Found, span: Span | None) -> Reading:
        remote = found.remote
        if span not in {None, Span(0, remote.facts.size)}:
            if found.keeps:
                self._restores.begin(remote, again=found.again)
            return Reading(found.row, span, remote.read(*span))
        body = self._keep_and_serve(found) if found.keeps else read_through(remote)
        return Reading(found.row, span, body)

    async def _keep_and_serve(self, found: Found) -> AsyncGenerator[bytes, None]:
        """What comes while it is kept, or what another caller's transfer has brought here."""
        remote = found.remote
        blocks = await self._here(remote)
        transfer: Transfer | None = None
        if blocks is None:
            transfer = self._restores.begin(remote, again=found.again, listened=True)
            blocks = transfer.served() if transfer else await self._once_restored(remote)
        try:
            async with aclosing(blocks):
                async for block in blocks:
                    yield block
        finally:
            if transfer:
                transfer.leave()

    async def _once_restored(self, remote: Remote) -> AsyncGenerator[bytes, None]:
        """The bytes when they are here; where that takes too long, from the sites alone."""
        await self._restores.wait(remote.bucket, remote.key, PATIENCE)
        return await self._here(remote) or read_through(remote)

    async def _here(self, remote: Remote) -> AsyncGenerator[bytes, None] | None:
        """The bytes of that version, if they are here."""
        with suppress(*MISSING):
            reading = await self._objects.read(remote.bucket, remote.key, lambda _: None)
            if reading.row.version == remote.facts.version:
                return reading.body
            await reading.body.aclose()
        return None


async def read_through(remote: Remote) -> AsyncGenerator[bytes, None]:
    """The whole from the sites, and nothing kept; the last block only where all is right."""
    async with aclosing(proved(remote, 0, Proof(remote.facts))) as blocks:
        async for passed in blocks:
            yield passed.block
