"""A site and a plain storage beside it, and what other programs do there meanwhile."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backends.clock import milliseconds
from backends.errors import Unavailable
from backends.model import Bucket, Row
from backends.storage import carried
from backends.storage.layers.forwarding import Forwarding
from backends.storage.protocol import Fetched, ObjectStore, Source, Stored
from backends.storage.source import BytesSource
from reconcile.jobs.work import START, Checkpoint
from reconcile.mirror.exchange import Intake
from reconcile.mirror.mirror import Mirror
from s3proxy.gateway import intake
from s3proxy.s3.proofs import WholeProof
from tests.reconcile.grounds import Ran, Site, job_of, run
from tests.services.foreign import Foreign

STORAGE: Final = "plain"


@dataclass
class Plain:
    """A bucket of a storage that knows nothing of us, and another program that writes there."""

    store: ObjectStore
    bucket: str
    write: Callable[[Foreign], Coroutine[Any, Any, None]]
    delete: Callable[[str], Coroutine[Any, Any, None]]

    async def contents(self) -> dict[str, bytes]:
        found = {}
        async for stored in self.store.listing(self.bucket):
            body = await self.store.get(self.bucket, stored.key)
            found[stored.key] = b"".join([block async for block in body])
        return found


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def plain_of(store: ObjectStore) -> Plain:
    """Over a storage of our own kind, as if other programs could write into it."""

    async def write(thing: Foreign) -> None:
        await store.delete(STORAGE, thing.key)
        size, headers = len(thing.data), thing.headers
        facts = carried.foreign(milliseconds(), size, thing.md5, headers, thing.metadata)
        await store.put(STORAGE, thing.key, BytesSource(thing.data, facts))

    async def delete(key: str) -> None:
        await store.delete(STORAGE, key)

    return Plain(store, STORAGE, write, delete)


@dataclass
class Pair:
    """Our site, and the plain storage beside it."""

    here: Site
    there: Plain
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = intake.Intake(self.here.objects)

    def mirror(self, store: ObjectStore | None = None) -> Mirror:
        each = {**self.here.each, STORAGE: store or self.there.store}
        return Mirror(self.here.state, self.here.store, each, self.intake, WholeProof)

    async def run(
        self,
        *,
        dry_run: bool = False,
        store: ObjectStore | None = None,
        checkpoint: Checkpoint = START,
        **order: Any,
    ) -> Ran:
        named = {"bucket": self.here.bucket, "storage": STORAGE}
        job = job_of(
            "mirror", dry_run=dry_run, **{**named, "storage_bucket": self.there.bucket, **order}
        )
        return await run(self.mirror(store), job, checkpoint)

    async def contents(self) -> dict[str, bytes]:
        """What clients read here."""
        rows = [row for row in await self.here.rows() if not row.deleted]
        return {row.key: await self.here.read(row.key) for row in rows}

    async def everything(self) -> tuple[list[Row], dict[str, bytes]]:
        return await self.here.rows(), await self.there.contents()


@dataclass
class Meanwhile:
    """An Intake beside whom somebody does something while bytes come in."""

    inner: Intake
    happens: Callable[[], Coroutine[Any, Any, None]]

    async def take(self, bucket: Bucket, key: str, found: Fetched, row: Row | None) -> None:
        async def blocks() -> AsyncGenerator[bytes, None]:
            async with aclosing(found.body):
                await self.happens()
                async for block in found.body:
                    yield block

        await self.inner.take(bucket, key, Fetched(found.stored, blocks()), row)


class Interrupted(Forwarding):
    """A storage into which another program writes whenever something is about to be put there."""

    def __init__(
        self, inner: ObjectStore, happens: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        super().__init__(inner)
        self._happens = happens

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        await self._happens()
        return await super().put(bucket, key, source, replacing=replacing)


class Breaking(Forwarding):
    """A storage whose listing breaks off, as often as it is told to."""

    def __init__(self, inner: ObjectStore, after: int) -> None:
        super().__init__(inner)
        self.after = after

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        number = 0
        async for stored in super().listing(bucket, prefix=prefix, after=after, most=most):
            number += 1
            if number > self.after:
                raise Unavailable("the listing broke off")
            yield stored
