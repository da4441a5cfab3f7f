"""State stores under test: a new one adds a line to STATES and runs the whole suite."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

from backends.model import UNCONDITIONAL, Bucket, Event, Facts, Intent, Precondition, Row, Version
from backends.state.mongo import MongoOptions, MongoState
from backends.state.postgres import PostgresOptions, PostgresState
from backends.state.protocol import Committed, StateStore
from backends.state.sqlite import SQLiteState

NOON: Final = 1_700_000_000_000
LEASE: Final = 60_000
BUCKET: Final = "photos"

Now = Callable[[], int]


class Open(Protocol):
    """Open a store over the facts of `folder`; a second one acts as another process."""

    def __call__(self, folder: Path, *, site: str, now: Now) -> Awaitable[StateStore]: ...


async def open_sqlite(folder: Path, *, site: str, now: Now) -> StateStore:
    return SQLiteState.open(folder / "state.db", site=site, durable=False, now=now)


async def open_postgres(folder: Path, *, site: str, now: Now) -> StateStore:
    return await PostgresState.open(postgres_options(folder), site=site, now=now)


def postgres_options(folder: Path) -> PostgresOptions:
    """The facts of a folder are a schema of the server whose address lies in it."""
    schema = blake2b(str(folder).encode(), digest_size=8).hexdigest()
    return PostgresOptions((folder / ADDRESS).read_text(), schema=schema)


async def open_mongo(folder: Path, *, site: str, now: Now) -> StateStore:
    return await MongoState.open(mongo_options(folder), site=site, now=now)


def mongo_options(folder: Path) -> MongoOptions:
    """The facts of a folder are a database of the server whose address lies in it."""
    database = blake2b(str(folder).encode(), digest_size=8).hexdigest()
    return MongoOptions((folder / ADDRESS).read_text(), database)


STATES: Final[Mapping[str, Open]] = {
    "sqlite": open_sqlite,
    "postgres": open_postgres,
    "mongo": open_mongo,
}
# The stores that are services: a fixture of that name runs each.
SERVED: Final = frozenset({"postgres", "mongo"})
ADDRESS: Final = "address"


@dataclass
class Wall:
    """A wall clock that only the test moves, in milliseconds."""

    milliseconds: int = NOON

    def __call__(self) -> int:
        return self.milliseconds


@dataclass
class Processes:
    """State stores over the same facts, on one wall clock."""

    name: str
    folder: Path
    wall: Wall = field(default_factory=Wall)
    _opened: list[StateStore] = field(default_factory=list)

    async def open(self, *, site: str = "here") -> StateStore:
        opened = await STATES[self.name](self.folder, site=site, now=self.wall)
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        while self._opened:
            await self._opened.pop().close()


def version(stamp: int, site: str = "here") -> Version:
    return Version(stamp, site)


def row(
    written: Version,
    *,
    key: str = "cat",
    bucket: str = BUCKET,
    etag: str = "etag",
    locator: str = "",
    deleted: bool = False,
) -> Row:
    """A row of that version; its locator names the version unless another one is given."""
    facts = Facts(written, etag=etag)
    return Row(bucket, key, facts, "" if deleted else locator or f"at {written}", deleted)


def event(of: Row) -> Event:
    name = "ObjectRemoved:Delete" if of.deleted else "ObjectCreated:Put"
    return Event(name, of.bucket, of.key, of.version, of.facts.size, of.facts.etag)


async def commit(
    state: StateStore,
    written: Row,
    *,
    intent: Intent | None = None,
    condition: Precondition = UNCONDITIONAL,
    upload: str = "",
    overwrote: bool = False,
) -> Committed:
    """Commit the row with the event that belongs to it."""
    return await state.commit(
        written,
        event(written),
        intent=intent,
        condition=condition,
        upload=upload,
        overwrote=overwrote,
    )


async def put(
    state: StateStore, key: str = "cat", *, bucket: str = BUCKET, etag: str = "etag"
) -> Row:
    """Write the key as the gateway does: promise, then commit."""
    intent = await state.begin(bucket, key, lease=LEASE)
    written = row(intent.version, key=key, bucket=bucket, etag=etag)
    assert (await commit(state, written, intent=intent)).won
    return written


async def make_bucket(state: StateStore, name: str = BUCKET, owner: str = "main") -> Bucket:
    return await state.create_bucket(Bucket(name, owner, NOON))
