"""What is done on a bucket's way to another storage, page by page: copied, verified, dropped."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from backends.bounded import bounded
from backends.errors import BucketNotFound, Busy, Corrupt, NotEmpty, NotFound, Superseded
from backends.model import Bucket, Row
from backends.state.protocol import StateStore
from backends.storage.addresses import Address, parsed
from backends.storage.protocol import ObjectStore, Stored
from backends.storage.reserved import is_reserved
from reconcile.jobs.work import Finding

PAGE: Final = 100
BATCH_BYTES: Final = 64 * 1024 * 1024
AT_ONCE: Final = 8
MISSING: Final = "MISSING"
SIZE: Final = "SIZE"
DIGEST: Final = "DIGEST"
LEFT: Final = "LEFT"
UNMOVED: Final = "UNMOVED"
UPLOAD: Final = "UPLOAD"


class Stays(StrEnum):
    """Why bytes were not dropped."""

    UNKNOWN = "no row knows it"
    NEEDED = "the row's bytes are there"
    NEWER = "it is newer than its row: an upload that goes on"


class Page(NamedTuple):
    """What was done: `done` objects looked at, `changed` ones, `moved` bytes; up to key `last`.

    There is no `last` where nothing comes after it.
    """

    last: str
    done: int
    changed: int = 0
    moved: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def wrong(self) -> int:
        """How many things are as they must not be in the end; what no row knows may stay."""
        return sum(finding.kind != LEFT for finding in self.findings)


class Done(NamedTuple):
    """What became of one object."""

    changed: bool = False
    moved: int = 0
    finding: Finding | None = None


NOTHING: Final = Done()


class Stage(Protocol):
    """One thing that is done with every object of a bucket."""

    async def page(self, after: str) -> Page:
        """Do it with some objects whose keys are above that one."""


class Relocate(Protocol):
    """Changes where bytes lie, beside clients that read and write them."""

    async def move(self, row: Row, home: str, to: str, *, looks: bool = False) -> int:
        """Give the row's bytes a place in that storage; how many bytes were carried.

        Those that it has elsewhere stay there. With `looks`, what `to` has kept of them is taken.
        Superseded where the row is not the current one any more; Busy; NotFound and Corrupt where
        its bytes are not there, or are others.
        """

    async def drop(self, bucket: str, key: str, home: str, storage: str) -> Stays | None:
        """Remove what the storage has at the key and rows have left behind; why some stays. Busy.

        `home` is the storage of locators that name none, here as above.
        """

    async def prove(self, row: Row, home: str) -> None:
        """Read the row's bytes. NotFound, Corrupt."""


class Way(NamedTuple):
    """A bucket on its way from the storage `away` to another one."""

    state: StateStore
    relocate: Relocate
    bucket: Bucket
    away: str
    to: str

    def address_of(self, locator: str) -> Address:
        return parsed(locator, self.bucket.storage)

    def has_arrived(self, row: Row) -> bool:
        """Whether there is nothing of the row that would have to be moved."""
        return row.deleted or self.address_of(row.locator).storage == self.to

    async def rows(self, after: str) -> list[Row]:
        """The next ones, not too many bytes at once."""
        rows = await self.state.inventory(self.bucket.name, after=after, limit=PAGE)
        size = 0
        for number, row in enumerate(rows):
            size += 0 if self.has_arrived(row) else row.facts.size
            if size > BATCH_BYTES:
                return rows[: number + 1]
        return rows

    async def move(self, row: Row, *, looks: bool = False) -> Done:
        """Let one object arrive. NotFound, Corrupt where that cannot be."""
        try:
            moved = await self.relocate.move(row, self.bucket.storage, self.to, looks=looks)
        except BucketNotFound:
            raise
        except (Superseded, Busy):
            return Done(changed=True)
        return Done(changed=True, moved=moved)

    async def is_current(self, row: Row) -> bool:
        """Whether nobody writes the object, or has written it meanwhile."""
        changing = await self.state.is_changing(row.bucket, row.key)
        return not changing and await self.state.newest(row.bucket, row.key) == row

    def finding(self, kind: str, key: str, detail: str, size: int = 0) -> Finding:
        return Finding(kind, self.bucket.name, key, detail=detail, size=size)


class Copying:
    """Moves what has not arrived. What cannot be moved the verification will tell."""

    def __init__(self, way: Way, *, looks: bool) -> None:
        self._way = way
        self._looks = looks

    async def page(self, after: str) -> Page:
        """Move some objects."""
        rows = await self._way.rows(after)
        return page_of(rows, await bounded(self._move, rows, at_once=AT_ONCE))

    async def _move(self, row: Row) -> Done:
        if self._way.has_arrived(row):
            return NOTHING
        try:
            return await self._way.move(row, looks=self._looks)
        except BucketNotFound:
            raise
        except (NotFound, Corrupt):
            return Done(changed=not await self._way.is_current(row))


class Verifying:
    """Asks the storage for every object, and compares; `deep` reads them all."""

    def __init__(self, way: Way, store: ObjectStore, *, deep: bool) -> None:
        self._way = way
        self._store = store
        self._deep = deep

    async def page(self, after: str) -> Page:
        """Verify some objects."""
        rows = await self._way.rows(after)
        return page_of(rows, await bounded(self._verify, rows, at_once=AT_ONCE))

    async def _verify(self, row: Row) -> Done:
        """What changed while it was looked at is not wrong: it was written to where it belongs."""
        if row.deleted:
            return NOTHING
        finding = await self._compare(row)
        return Done(finding=finding) if finding and await self._way.is_current(row) else NOTHING

    async def _compare(self, row: Row) -> Finding | None:
        try:
            if not self._way.has_arrived(row):
                await self._way.move(row)
                return None
            stored = await self._stored(row)
            if self._deep:
                await self._way.relocate.prove(row, self._way.bucket.storage)
        except BucketNotFound:
            raise
        except NotFound as error:
            return self._way.finding(MISSING, row.key, str(error), row.facts.size)
        except Corrupt as error:
            return self._way.finding(DIGEST, row.key, str(error), row.facts.size)
        if stored.size == row.facts.size:
            return None
        return self._way.finding(SIZE, row.key, f"{stored.size} bytes are there", row.facts.size)

    async def _stored(self, row: Row) -> Stored:
        """What was written under the row's version, or is what the row names. NotFound."""
        try:
            return await self._store.head(row.bucket, row.key, row.version)
        except NotFound:
            found = await self._store.head(row.bucket, row.key)
            if found.locator != self._way.address_of(row.locator).name:
                raise
            return found


class Dropping:
    """Removes from the storage that was left what rows do not need there, in the end the bucket."""

    def __init__(self, way: Way, store: ObjectStore) -> None:
        self._way = way
        self._store = store

    async def page(self, after: str) -> Page:
        """Drop some objects; uploads that still fill up there keep the bucket."""
        listed = await self._listed(after)
        keys = [stored.key for stored in listed if not is_reserved(stored.key)]
        done = await bounded(self._drop, keys, at_once=AT_ONCE)
        if listed:
            return page_of(listed, done)
        findings = tuple([one async for one in self._uploads()])
        if not findings:
            with suppress(NotEmpty, NotFound):
                await self._store.delete_bucket(self._way.bucket.name)
        return Page("", 0, findings=findings)

    async def _listed(self, after: str) -> Sequence[Stored]:
        name = self._way.bucket.name
        try:
            async with aclosing(self._store.listing(name, after=after, most=PAGE)) as found:
                return [stored async for stored in found]
        except BucketNotFound:
            return []

    async def _drop(self, key: str) -> Done:
        """What a slow writer has still written there is moved first."""
        stays = await self._try(key)
        if stays is Stays.NEEDED:
            await self._move(key)
            stays = await self._try(key)
        if stays is None:
            return Done(changed=True)
        kind = LEFT if stays is Stays.UNKNOWN else UNMOVED
        return Done(finding=self._way.finding(kind, key, stays))

    async def _try(self, key: str) -> Stays | None:
        bucket = self._way.bucket
        try:
            return await self._way.relocate.drop(bucket.name, key, bucket.storage, self._way.away)
        except Busy:
            return Stays.NEWER

    async def _move(self, key: str) -> None:
        row = await self._way.state.newest(self._way.bucket.name, key)
        if row and not self._way.has_arrived(row):
            with suppress(NotFound, Corrupt):
                await self._way.move(row)

    async def _uploads(self) -> AsyncIterator[Finding]:
        after = ("", "")
        state, name = self._way.state, self._way.bucket.name
        while found := await state.uploads(name, prefix="", after=after, limit=PAGE):
            for upload in found:
                if self._way.address_of(upload.token).storage == self._way.away:
                    detail = f"the upload {upload.name} began there: complete or abort it"
                    yield self._way.finding(UPLOAD, upload.key, detail)
            after = (found[-1].key, found[-1].name)


def page_of(looked_at: Sequence[Row | Stored], done: Sequence[Done]) -> Page:
    """What became of these objects, together."""
    return Page(
        last=looked_at[-1].key if looked_at else "",
        done=len(looked_at),
        changed=sum(one.changed for one in done),
        moved=sum(one.moved for one in done),
        findings=tuple(one.finding for one in done if one.finding),
    )
