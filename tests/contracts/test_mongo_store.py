"""What the store on MongoDB promises beyond every store's contract, shown on a server."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import MongoClient, WriteConcern

from backends.errors import (
    AccessDenied,
    BucketNotFound,
    NotFound,
    NotSupported,
    Refused,
    Unavailable,
)
from backends.fingerprint import MODULUS, fingerprint_of
from backends.model import COUNTER_BITS, Bucket, Facts, KeyRange, RangeDigest, Row
from backends.state.mongo import MongoOptions, MongoState, migrate, ranges, status
from backends.state.mongo.objects import keys_within
from backends.state.mongo.schema import MIGRATIONS, Index
from backends.state.protocol import FIRST_DUE, Due, StateStore
from backends.state.schema import SchemaStatus
from tests.contracts.mongo_steps import Call, Steps, stepped
from tests.contracts.state_stores import (
    ADDRESS,
    BUCKET,
    LEASE,
    Wall,
    commit,
    event,
    make_bucket,
    mongo_options,
    put,
    row,
    version,
)
from tests.services import servers
from tests.services.process import Service

ROOT: Final = Path(__file__).parents[2]
STARTING: Final = 8
HEAL_SECONDS: Final = 30
OPEN: Final = """
import asyncio, sys
from backends.state.mongo import MongoOptions, MongoState

async def main():
    state = await MongoState.open(MongoOptions(*sys.argv[1:]), site="here")
    await state.subscribe("group")
    await state.close()

asyncio.run(main())
"""


@pytest.fixture
def options(mongo: Service, tmp_path: Path) -> MongoOptions:
    """An empty database."""
    (tmp_path / ADDRESS).write_text(mongo.url)
    return mongo_options(tmp_path)


@pytest.fixture
async def state(options: MongoOptions) -> AsyncIterator[MongoState]:
    opened = await MongoState.open(options, site="here")
    await make_bucket(opened)
    yield opened
    await opened.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Service]:
    """A server of the test's own, that it may kill."""
    service = servers.mongo(tmp_path / "server")
    service.start()
    yield service
    service.kill()


def client_of(options: MongoOptions) -> "MongoClient[dict[str, Any]]":
    return MongoClient(options.url)


async def test_many_processes_start_at_once_on_an_empty_database(options: MongoOptions) -> None:
    start = [sys.executable, "-c", OPEN, options.url, options.database]
    started = [await asyncio.create_subprocess_exec(*start, cwd=ROOT) for _ in range(STARTING)]

    ended = [await process.wait() for process in started]

    assert ended == [0] * STARTING
    assert await status(options) == SchemaStatus(len(MIGRATIONS), len(MIGRATIONS))
    with client_of(options) as client:
        indexes = {
            name: len(client[options.database][name].index_information())
            for name in ("keys", "buckets", "outbox")
        }
    assert indexes == {"keys": 13, "buckets": 2, "outbox": 2}


async def test_a_database_is_migrated_once_and_says_so(options: MongoOptions) -> None:
    assert await status(options) == SchemaStatus(0, len(MIGRATIONS))
    assert await migrate(options) == SchemaStatus(len(MIGRATIONS), len(MIGRATIONS))
    assert (await migrate(options)).current
    await (await MongoState.open(options, site="here", migrate=False)).close()


async def test_an_older_schema_is_refused_where_nothing_is_to_be_migrated(
    options: MongoOptions,
) -> None:
    with pytest.raises(NotSupported, match=r"has schema 0 .* needs 4: run `ccs db migrate`"):
        await MongoState.open(options, site="here", migrate=False)
    assert (await status(options)).found == 0


@pytest.mark.parametrize("migrates", [False, True])
async def test_a_newer_schema_is_refused(options: MongoOptions, *, migrates: bool) -> None:
    await migrate(options)
    with client_of(options) as client:
        client[options.database].schema.update_one({"_id": "version"}, {"$set": {"number": 99}})

    with pytest.raises(NotSupported, match=f"{options.database} .* schema 99 .* newer ccs"):
        await MongoState.open(options, site="here", migrate=migrates)
    with pytest.raises(NotSupported, match="newer ccs"):
        await migrate(options)
    assert (await status(options)).newer


async def test_a_process_that_died_while_it_migrated_is_followed_by_the_next(
    options: MongoOptions,
) -> None:
    with client_of(options) as client:
        lease = {"_id": "migration", "holder": "dead", "expires": 1}
        client[options.database].schema.insert_one(lease)

    assert (await migrate(options)).current


async def test_a_server_that_is_not_there_is_unavailable_soon(tmp_path: Path) -> None:
    nowhere = MongoOptions("mongodb://me:secret@127.0.0.1:1", select_seconds=0.2)

    with pytest.raises(Unavailable, match=r"MongoDB at 127\.0\.0\.1:1:") as caught:
        await MongoState.open(nowhere, site="here")

    assert "secret" not in str(caught.value)


async def test_a_wrong_password_is_told_without_it(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    unguarded = servers.mongo(folder)
    unguarded.start()
    with client_of(MongoOptions(unguarded.url)) as client:
        client.admin.command("createUser", "ccs", pwd="right", roles=["root"])
        journalled = client.admin.get_collection("after", write_concern=WriteConcern(j=True))
        journalled.insert_one({})
    unguarded.kill()
    guarded = servers.mongo(folder, authenticated=True)
    guarded.start()
    place = f"127.0.0.1:{guarded.port}"
    try:
        state = await MongoState.open(MongoOptions(f"mongodb://ccs:right@{place}"), site="here")
        await state.close()
        with pytest.raises(AccessDenied, match=f"{place} refuses the user 'ccs'") as caught:
            await MongoState.open(MongoOptions(f"mongodb://ccs:wr0ng@{place}"), site="here")
        with pytest.raises(AccessDenied, match="refuses the user ''"):
            await MongoState.open(MongoOptions(guarded.url), site="here")
    finally:
        guarded.kill()
    assert "wr0ng" not in str(caught.value)


async def test_a_url_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(Refused, match="the URL of MongoDB at host is not") as caught:
        await MongoState.open(MongoOptions("mongodb://me:s/ecret@host/"), site="here")

    assert "ecret" not in str(caught.value)
    assert "ecret" not in repr(MongoOptions("mongodb://me:secret@host/"))


async def test_a_killed_server_loses_nothing_and_the_store_heals(own: Service) -> None:
    options = MongoOptions(own.url, select_seconds=0.3)
    state = await MongoState.open(options, site="here")
    await make_bucket(state)
    await state.subscribe("west")
    written: list[Row] = []
    stopped = asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(10_000):
            if stopped.is_set():
                return
            written.append(await put(state, f"{writer}-{number}"))

    writers = [asyncio.create_task(write(writer)) for writer in range(4)]
    while len(written) < 40:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(own.kill)
    ended = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in ended)
    with pytest.raises(Unavailable):
        await state.ping()

    await asyncio.to_thread(own.start)
    await healed(state)

    for one in written:
        assert await state.find(BUCKET, one.key) == one
    told = {found.version for _, found in await state.unread("west", after=0, limit=10_000)}
    assert told >= {one.version for one in written}
    assert await put(state, "after")
    await state.close()


async def healed(state: StateStore) -> None:
    """Return when it answers again."""
    async with asyncio.timeout(HEAL_SECONDS):
        while True:
            try:
                return await state.ping()
            except Unavailable:
                await asyncio.sleep(0.01)


async def test_a_row_too_large_for_a_document_is_refused(state: MongoState) -> None:
    facts = Facts(version(1), metadata={"film": "x" * 17_000_000})
    large = Row(BUCKET, "cat", facts, "there")

    with pytest.raises(Refused):
        await state.commit(large, event(large))

    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")


async def test_bytes_that_are_named_again_are_no_discard_any_more(state: MongoState) -> None:
    for stamp, locator in ((1, "first"), (2, "second"), (3, "first")):
        await commit(state, row(version(stamp), locator=locator))

    dropped = await state.discards(older_than=-1, limit=10)

    assert [one.locator for one in dropped] == ["second"]


async def test_a_key_with_nothing_left_to_say_has_no_document(
    state: MongoState, options: MongoOptions
) -> None:
    await state.drop_intent(await state.begin(BUCKET, "cat", lease=LEASE))

    with client_of(options) as client:
        assert list(client[options.database].keys.find()) == []


async def test_a_tombstone_of_the_release_before_counts_from_its_version(
    options: MongoOptions,
) -> None:
    wall = Wall()
    state = await MongoState.open(options, site="here", now=wall)
    await make_bucket(state)
    for key, before in (("old", 2000), ("young", 1000)):
        stamp = (wall.milliseconds - before) << COUNTER_BITS
        await state.commit(row(version(stamp), key=key, deleted=True), None)
    with client_of(options) as client:
        client[options.database]["keys"].update_many({}, {"$unset": {"tombstone.since": ""}})

    assert await state.purge_tombstones(older_than=1500, limit=10) == 1

    assert await state.newest(BUCKET, "old") is None
    assert await state.newest(BUCKET, "young") is not None
    await state.close()


async def test_fingerprints_that_lack_are_taken_when_they_are_asked_for(
    options: MongoOptions, state: MongoState
) -> None:
    rows = [row(version(1), key="cat"), row(version(2), key="dog", deleted=True)]
    for one in rows:
        await state.commit(one, None)
    lacking = {f"{field}.{half}": "" for field in ("live", "tombstone") for half in ("low", "high")}
    with client_of(options) as client:
        client[options.database]["keys"].update_many({}, {"$unset": lacking})

    for _ in range(2):
        [found] = await state.digests(BUCKET, [KeyRange()], before=1, buried_since=0)
        assert found == RangeDigest(1, 1, sum(map(fingerprint_of, rows)) % MODULUS)


async def test_ranges_are_compared_by_their_indexes_alone(
    options: MongoOptions, state: MongoState
) -> None:
    await asyncio.gather(
        *(
            state.commit(row(version(1), key=f"k/{number}", deleted=number < 50), None)
            for number in range(100)
        )
    )
    stamps: dict[str, Any] = {"live.stamp": {"$lt": 10}}
    live = {"live.bucket": await state._require_bucket(BUCKET), **stamps}
    for field, of, index in (
        ("live", live, ranges.LIVE),
        ("tombstone", {"tombstone.stamp": {"$gte": 0, "$lt": 10}}, ranges.BURIED),
    ):
        keys = {"_id": keys_within(BUCKET, KeyRange("k/2", "k/7"))}
        told = executed(options, [{"$match": {**of, **keys}}, sums(field)], dict(index))
        assert 0 < told["totalKeysExamined"] < 60
        needed = {*of, *keys, f"{field}.low", f"{field}.high"}
        assert needed == {name for name, _ in index}  # then MongoDB reads no document


def sums(field: str) -> dict[str, Any]:
    return {"$group": {"_id": None, **ranges.sums_of(field)}}


def executed(
    options: MongoOptions, pipeline: list[dict[str, Any]], hint: dict[str, int]
) -> dict[str, Any]:
    """What the server says that it read."""
    asked = {"aggregate": "keys", "pipeline": pipeline, "cursor": {}, "hint": hint}
    with client_of(options) as client:
        told = client[options.database].command("explain", asked, verbosity="executionStats")
    found = told if "executionStats" in told else told["stages"][0]["$cursor"]
    statistics: dict[str, Any] = found["executionStats"]
    return statistics


async def test_every_list_that_may_be_long_is_read_by_an_index(
    options: MongoOptions, tmp_path: Path
) -> None:
    await migrate(options)
    steps, wall = Steps(), Wall()
    async with stepped(tmp_path, wall, steps) as state:
        await ask_all(state, wall)

    lists = [call for call in steps.calls if call.verb == "many"]
    asked = {(call.collection, *dict(call.options.get("order", ()))) for call in lists}
    assert len(asked) >= 10
    for call in lists:
        assert call.collection == "subscriptions" or served(call), call
    for call in steps.calls:
        if call.verb == "one" and call.collection == "keys":
            assert "_id" in call.arguments[0] or served(call), call


async def ask_all(state: StateStore, wall: Wall) -> None:
    """Every verb that lists something."""
    bucket = Bucket(BUCKET, "main", 0)
    await state.create_bucket(bucket)
    await state.subscribe("west")
    await put(state)
    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "DELETE")
    [(number, _), *_] = await state.unread("west", after=0, limit=10)
    await state.acknowledge("west", number)
    await state.page(BUCKET, prefix="a", after="b", limit=10)
    await state.inventory(BUCKET, after="b", limit=10)
    await state.buckets("main", prefix="a", after="b", limit=10)
    await state.every_bucket(after="b", limit=10)
    await state.uploads(BUCKET, prefix="a", after=("b", "c"), limit=10)
    await state.stale_uploads(older_than=1, limit=10)
    await state.claim_expired_intents(lease=LEASE, limit=10)
    await state.unsettled()
    await state.discards(older_than=1, limit=10)
    await state.expired(after=FIRST_DUE, limit=10)
    await state.expired(after=Due(1, BUCKET, "a"), limit=10)
    wall.milliseconds += 1000
    await state.purge_tombstones(older_than=1, limit=10)
    await state.delete_bucket(BUCKET)
    with pytest.raises(BucketNotFound):
        await state.page(BUCKET, prefix="", after="", limit=1)


def served(call: Call) -> bool:
    """Whether an index has what is asked for in the order that is asked for, and no more.

    By MongoDB's rules: fields that equal a value come first, then the order; a range goes on the
    next field; an index of some documents serves what names the field that these have.
    """
    of = call.arguments[0]
    order = [name for name, _ in call.options.get("order", (("_id", 1),))]
    equal = [name for name, value in of.items() if not isinstance(value, Mapping | Sequence)]
    needed = equal + [name for name in order if name not in equal]
    indexes = [index for index in chain(*MIGRATIONS) if index.collection == call.collection]
    indexes.append(Index(call.collection, (("_id", 1),)))
    return any(
        [name for name, _ in index.keys][: len(needed)] == needed
        and (not index.where or index.where in of)
        for index in indexes
    )
