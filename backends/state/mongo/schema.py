"""The collections and their indexes, as numbered migrations that many processes may start at once.

Once released, a migration is never changed, only followed. Each can be repeated: the lease only
keeps processes from doing the same work side by side. The collections:

- `keys`: one document a key, _id "bucket/key", with all that must change together (documents.py)
- `buckets`: _id is the name; `graves` remember ids of buckets that were removed (buckets.py)
- `parts` of uploads, `subscriptions`, `outbox` and `counters` (outbox.py)
- `leases`, `access_keys`, and `schema` itself
"""

import asyncio
import random
import uuid
from dataclasses import dataclass
from typing import Final

from backends.clock import milliseconds
from backends.errors import NotSupported, Unavailable
from backends.state.mongo.connection import Connection, Order
from backends.state.mongo.leases import acquire
from backends.state.mongo.options import MongoOptions
from backends.state.schema import SchemaStatus

VERSION: Final = "version"
LEASE: Final = "migration"
LEASE_MILLISECONDS: Final = 30_000
PATIENCE_MILLISECONDS: Final = 10 * 60_000
PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Index:
    """An index; with `where`, only of documents that have that field."""

    collection: str
    keys: Order
    where: str = ""
    unique: bool = False


FIRST: Final = (
    Index("buckets", (("owner", 1), ("_id", 1))),
    Index("graves", (("since", 1),)),
    Index("keys", (("live.bucket", 1), ("_id", 1)), "live.bucket"),
    Index("keys", (("tombstone.stamp", 1),), "tombstone.stamp"),
    Index("keys", (("intents.expires", 1),), "intents.expires"),
    Index("keys", (("discards.since", 1),), "discards.since"),
    Index("keys", (("events.stamp", 1),), "events.stamp"),
    Index("keys", (("uploads.bucket", 1), ("_id", 1)), "uploads.bucket"),
    Index("keys", (("uploads.started", 1),), "uploads.started"),
    Index("keys", (("ended", 1),), "ended"),
    Index("parts", (("object", 1), ("upload", 1), ("number", 1)), unique=True),
    Index("outbox", (("object", 1),)),
)
# That of `tombstone.stamp` stays for tombstones of the release before, which have no `since`.
ARRIVALS: Final = (Index("keys", (("tombstone.since", 1),), "tombstone.since"),)
# All that ranges are compared by. Of rows of the release before, `ranges` takes the fingerprints.
FINGERPRINTS: Final = (
    Index(
        "keys",
        (("live.bucket", 1), ("_id", 1), ("live.stamp", 1), ("live.low", 1), ("live.high", 1)),
        "live.bucket",
    ),
    Index(
        "keys",
        (("_id", 1), ("tombstone.stamp", 1), ("tombstone.low", 1), ("tombstone.high", 1)),
        "tombstone.stamp",
    ),
)
EXPIRIES: Final = (Index("keys", (("live.expires", 1), ("_id", 1)), "live.expires"),)
MIGRATIONS: Final = (FIRST, ARRIVALS, FINGERPRINTS, EXPIRIES)


async def status(options: MongoOptions) -> SchemaStatus:
    """What the database has and what this program wants; nothing is changed. As `open`."""
    connection = Connection(options)
    try:
        return await found_in(connection)
    finally:
        await connection.close()


async def migrate(options: MongoOptions) -> SchemaStatus:
    """Bring the database to what this program wants, and say so. NotSupported if it is newer."""
    connection = Connection(options)
    try:
        return await bring_up(connection)
    finally:
        await connection.close()


async def found_in(connection: Connection) -> SchemaStatus:
    found = await connection.collection("schema").one({"_id": VERSION})
    return SchemaStatus(found["number"] if found else 0, len(MIGRATIONS))


async def bring_up(connection: Connection) -> SchemaStatus:
    """Migrate, or wait while another process does."""
    holder = uuid.uuid4().hex
    deadline = milliseconds() + PATIENCE_MILLISECONDS
    while not (schema := await found_in(connection)).current:
        require_not_newer(connection, schema)
        if await _take_lease(connection, holder):
            await _apply(connection, schema.found)
        elif milliseconds() > deadline:
            raise Unavailable(f"{_place(connection)} is being migrated, for too long")
        else:
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
    return schema


async def require_current(connection: Connection) -> None:
    """Return if nothing has to be migrated. NotSupported says what to do."""
    schema = await found_in(connection)
    require_not_newer(connection, schema)
    if not schema.current:
        raise NotSupported(
            f"{_place(connection)} has schema {schema.found} and this program needs"
            f" {schema.wanted}: run `ccs db migrate`"
        )


def require_not_newer(connection: Connection, schema: SchemaStatus) -> None:
    if schema.newer:
        raise NotSupported(
            f"{_place(connection)} has schema {schema.found} and this program knows"
            f" {schema.wanted}: run a newer ccs"
        )


async def _apply(connection: Connection, seen: int) -> None:
    """The next migration; its number is written last, and only by who saw the one before it."""
    for index in MIGRATIONS[seen]:
        collection = connection.collection(index.collection)
        await collection.make_index(index.keys, unique=index.unique, where=index.where)
    schema, number = connection.collection("schema"), {"number": seen + 1}
    if not seen:
        await schema.insert({"_id": VERSION, **number})
    else:
        await schema.update({"_id": VERSION, "number": seen}, {"$set": number})


async def _take_lease(connection: Connection, holder: str) -> bool:
    leases = connection.collection("schema")
    return await acquire(leases, LEASE, holder, now=milliseconds(), lease=LEASE_MILLISECONDS)


def _place(connection: Connection) -> str:
    options = connection.options
    return f"the database {options.database} of MongoDB at {options.hosts}"
