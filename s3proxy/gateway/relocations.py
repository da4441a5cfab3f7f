"""Bytes brought from one storage to another under the rows that they have, beside all writers."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from msgspec.structs import replace

from backends.errors import NotFound
from backends.model import Facts, Row
from backends.state.protocol import StateStore
from backends.storage.addresses import Address, parsed, written
from backends.storage.protocol import ObjectStore, Stored
from reconcile.migration.moving import Stays
from s3proxy.gateway.leases import Lease
from s3proxy.gateway.proof import Proof
from s3proxy.gateway.writes import Writes


class Proved:
    """A Source: what comes from another storage; its last block only where the whole is right."""

    def __init__(self, blocks: AsyncGenerator[bytes, None], row: Row, lease: Lease) -> None:
        self._blocks = blocks
        self._row = row
        self._lease = lease

    @property
    def size(self) -> int:
        return self._row.facts.size

    @property
    def facts(self) -> Facts:
        return self._row.facts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        proof = Proof(self._row.facts)
        held = b""
        async for block in self._blocks:
            proof.update(block)
            if held:
                await self._lease.keep()
                yield held
            held = block
        proof.require(f"{self._row.bucket}/{self._row.key}")
        await self._lease.settle()
        if held:
            yield held


class Relocations:
    """As reconcile.migration.moving.Relocate, over one state and its storages by name."""

    def __init__(
        self, state: StateStore, stores: Mapping[str, ObjectStore], writes: Writes
    ) -> None:
        self._state = state
        self._stores = stores
        self._writes = writes

    async def move(self, row: Row, home: str, to: str, *, looks: bool = False) -> int:
        """As promised there."""
        carried = 0

        async def place(lease: Lease) -> Row:
            nonlocal carried
            await lease.take()
            stored = await self._kept(row, to, lease) if looks else None
            if stored is None:
                stored = await self._carried(row, home, to, lease)
                carried = row.facts.size
            return replace(row, locator=written(Address(to, stored.locator), home))

        await self._writes.apply(row.bucket, row.key, row.version, place, again=True, keeps=True)
        return carried

    async def drop(self, bucket: str, key: str, home: str, storage: str) -> Stays | None:
        """As promised there: no writer has the key meanwhile."""
        store = self._stores[storage]
        async with self._writes.alone(bucket, key):
            row = await self._state.newest(bucket, key)
            while stored := await _found(store, bucket, key):
                if stays := _reason(stored, row, home, storage):
                    return stays
                await store.delete(bucket, key, stored.locator)
        return None

    async def prove(self, row: Row, home: str) -> None:
        """As promised there."""
        proof = Proof(row.facts)
        async with aclosing(await self._open(row, home)) as blocks:
            async for block in blocks:
                proof.update(block)
        proof.require(f"{row.bucket}/{row.key}")

    async def _open(self, row: Row, home: str) -> AsyncGenerator[bytes, None]:
        address = parsed(row.locator, home)
        return await self._stores[address.storage].get(row.bucket, row.key, address.name)

    async def _carried(self, row: Row, home: str, to: str, lease: Lease) -> Stored:
        async with aclosing(await self._open(row, home)) as blocks:
            return await self._stores[to].put(row.bucket, row.key, Proved(blocks, row, lease))

    async def _kept(self, row: Row, to: str, lease: Lease) -> Stored | None:
        """What the storage still has of the row's bytes, held against writers; None without."""
        stored = await _found(self._stores[to], row.bucket, row.key)
        if stored is None or not _is_of(stored, row):
            return None
        await lease.settle()
        return stored


async def _found(store: ObjectStore, bucket: str, key: str) -> Stored | None:
    try:
        return await store.head(bucket, key)
    except NotFound:
        return None


def _is_of(stored: Stored, row: Row) -> bool:
    """Whether these are the bytes of the row; those of others have no version of ours."""
    facts = stored.facts
    alike = facts.version == row.version or (not stored.ours and facts.etag == row.facts.etag)
    return alike and stored.size == row.facts.size


def _reason(stored: Stored, row: Row | None, home: str, storage: str) -> Stays | None:
    """Why what is stored must stay; None where rows have moved on."""
    if row is None:
        return Stays.UNKNOWN
    if not row.deleted and parsed(row.locator, home).storage == storage:
        return Stays.NEEDED
    return Stays.NEWER if stored.facts.version > row.version else None
