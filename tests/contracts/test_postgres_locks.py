"""Two processes over PostgreSQL, of which one stands still just before its transaction commits."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import asyncpg
import pytest

from backends.clock import milliseconds
from backends.errors import Busy, NotEmpty, Unavailable, UploadNotFound
from backends.model import Part, Upload
from backends.state.postgres import PostgresOptions, PostgresState
from backends.state.postgres.connections import Connections
from backends.state.postgres.locks import Locks
from tests.contracts.postgres_server import ask
from tests.contracts.state_stores import BUCKET, LEASE, NOON, commit, make_bucket, put, row, version
from tests.services.process import Service

T = TypeVar("T")
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
UPLOAD = Upload(BUCKET, "film", "upload", "token", NOON, "main")
PART = Part(1, 5, "etag", NOON, "token")
fresh = itertools.count()


class Halting(Connections):
    """Connections on which a write, once all is done, waits before it commits."""

    def __init__(self, options: PostgresOptions) -> None:
        super().__init__(options)
        self.stands = asyncio.Event()
        self.go = asyncio.Event()

    async def batch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        async with self.one() as connection, connection.transaction():
            answer = await connection.fetch(sql, *arguments)
            self.stands.set()
            await self.go.wait()
            return answer


class Pair:
    """A process that halts and another that does not, over one database."""

    def __init__(self, options: PostgresOptions, quick: PostgresState) -> None:
        self.options = options
        self._halting = Halting(options)
        self.slow = PostgresState(self._halting, Locks(options.schema), "slow", milliseconds)
        self.quick = quick

    async def begun(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """The slow one's work, which now stands before its commit."""
        task = asyncio.create_task(work)
        await self._halting.stands.wait()
        return task

    async def met(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """The quick one's work, which now has ended or waits for the slow one."""
        task = asyncio.create_task(work)
        while not task.done() and not await ask(self.options, WAITING):
            await asyncio.sleep(0)
        return task

    def go(self) -> None:
        self._halting.go.set()

    async def close(self) -> None:
        self.go()
        await self.slow.close()
        await self.quick.close()


@pytest.fixture
async def pair(postgres: Service) -> AsyncIterator[Pair]:
    options = PostgresOptions(postgres.url, schema=f"locks {next(fresh)}")
    quick = await PostgresState.open(options, site="quick")
    await make_bucket(quick)
    both = Pair(options, quick)
    yield both
    await both.close()


async def keys_told(pair: Pair, after: int = 0) -> list[tuple[int, str]]:
    read = await pair.quick.unread("west", after=after, limit=10)
    return [(number, event.key) for number, event in read]


async def test_no_event_is_seen_before_one_of_a_lower_number(pair: Pair) -> None:
    await pair.quick.subscribe("west")
    slow = await pair.begun(commit(pair.slow, row(version(1), key="slow")))
    quick = await pair.met(commit(pair.quick, row(version(1), key="quick")))
    read = await keys_told(pair)

    pair.go()
    await asyncio.gather(slow, quick)
    read += await keys_told(pair, after=read[-1][0] if read else 0)

    assert [key for _, key in read] == ["slow", "quick"]


async def test_a_new_group_is_told_what_it_does_not_find(pair: Pair) -> None:
    slow = await pair.begun(commit(pair.slow, row(version(1))))
    subscribing = await pair.met(pair.quick.subscribe("west"))
    if not subscribing.done():
        pair.go()
    await subscribing
    listed = [entry.key for entry in await pair.quick.page(BUCKET, prefix="", after="", limit=10)]

    pair.go()
    await slow

    assert listed + [key for _, key in await keys_told(pair)] == ["cat"]


async def test_no_event_comes_after_the_last_group_left(pair: Pair) -> None:
    await pair.quick.subscribe("west")
    slow = await pair.begun(commit(pair.slow, row(version(1), deleted=True)))
    leaving = await pair.met(pair.quick.unsubscribe("west"))

    pair.go()
    await asyncio.gather(slow, leaving)

    assert await pair.quick.purge_tombstones(older_than=0, limit=10) == 1


async def test_a_bucket_that_is_written_in_is_not_deleted(pair: Pair) -> None:
    slow = await pair.begun(commit(pair.slow, row(version(1))))
    deleting = await pair.met(pair.quick.delete_bucket(BUCKET))

    pair.go()
    await slow

    with pytest.raises(NotEmpty):
        await deleting


async def test_two_commits_of_a_key_come_one_after_the_other(pair: Pair) -> None:
    first, second = row(version(1)), row(version(2))
    slow = await pair.begun(commit(pair.slow, first))
    quick = await pair.met(commit(pair.quick, second))

    pair.go()

    assert (await slow).replaced is None
    assert (await quick).replaced == first


async def test_a_promise_is_above_one_that_is_just_being_made(pair: Pair) -> None:
    slow = await pair.begun(pair.slow.begin(BUCKET, "cat", lease=LEASE))
    quick = await pair.met(pair.quick.begin(BUCKET, "cat", lease=LEASE))

    pair.go()

    assert (await quick).version.stamp > (await slow).version.stamp


async def test_who_asks_for_a_turn_that_another_is_taking_is_told_to_wait(pair: Pair) -> None:
    slow = await pair.begun(pair.slow.begin(BUCKET, "cat", lease=LEASE, alone=True))
    quick = await pair.met(pair.quick.begin(BUCKET, "cat", lease=LEASE, alone=True))

    pair.go()
    await slow

    with pytest.raises(Busy):
        await quick


async def test_an_intent_that_is_being_committed_is_not_claimed(pair: Pair) -> None:
    intent = await pair.quick.begin(BUCKET, "cat", lease=-1)
    slow = await pair.begun(commit(pair.slow, row(intent.version), intent=intent))

    claimed = await pair.quick.claim_expired_intents(lease=LEASE, limit=10)
    pair.go()

    assert claimed == []
    assert (await slow).won


async def test_an_intent_that_is_being_claimed_is_not_committed(pair: Pair) -> None:
    intent = await pair.quick.begin(BUCKET, "cat", lease=-1)
    slow = await pair.begun(pair.slow.claim_expired_intents(lease=LEASE, limit=10))
    committing = await pair.met(commit(pair.quick, row(intent.version), intent=intent))

    pair.go()

    assert len(await slow) == 1
    with pytest.raises(Unavailable, match="ran out"):
        await committing


async def test_no_part_outlives_its_upload(pair: Pair) -> None:
    await pair.quick.create_upload(UPLOAD)
    slow = await pair.begun(pair.slow.delete_upload(BUCKET, "film", "upload"))
    sending = await pair.met(pair.quick.put_part(BUCKET, "film", "upload", PART))

    pair.go()
    await slow

    with pytest.raises(UploadNotFound):
        await sending


async def test_parts_of_one_upload_do_not_wait_for_each_other(pair: Pair) -> None:
    await pair.quick.create_upload(UPLOAD)
    slow = await pair.begun(pair.slow.put_part(BUCKET, "film", "upload", PART))

    await pair.quick.put_part(BUCKET, "film", "upload", Part(2, 5, "etag", NOON, "token"))
    pair.go()
    await slow

    assert len(await pair.quick.parts(BUCKET, "film", "upload")) == 2


async def test_who_waits_too_long_for_others_is_told_to_come_back(pair: Pair) -> None:
    hurried = replace(pair.options, command_seconds=1.0)
    hasty = PostgresState(Connections(hurried), Locks(hurried.schema), "hasty", milliseconds)
    slow = await pair.begun(commit(pair.slow, row(version(1))))

    with pytest.raises(Busy, match="wait too long"):
        await commit(hasty, row(version(2)))
    pair.go()
    await slow

    assert (await commit(hasty, row(version(2)))).won
    await hasty.close()


async def test_writers_of_other_keys_do_not_wait_and_readers_never(pair: Pair) -> None:
    await put(pair.quick)
    slow = await pair.begun(commit(pair.slow, row(version(2**60))))

    await put(pair.quick, "dog")
    before = await pair.quick.find(BUCKET, "cat")
    pair.go()
    await slow

    assert before.version.site == "quick"
    assert (await pair.quick.find(BUCKET, "cat")).version == version(2**60)
