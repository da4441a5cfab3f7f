"""The PostgreSQL store and its server: what goes wrong between them, and how it heals."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from backends.errors import AccessDenied, BackendError, Busy, NoSpace, Refused, Unavailable
from backends.model import Row, Upload
from backends.state.postgres import PostgresOptions, PostgresState
from backends.state.postgres.connections import Connections
from backends.state.protocol import StateStore
from tests.contracts.postgres_server import Wire, ask, tell
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    commit,
    make_bucket,
    put,
    row,
    version,
)
from tests.services import postgres as postgresql
from tests.services.process import Service, free_port

WRITERS = 8
ACKNOWLEDGED = 200
HEALED_SECONDS = 30
fresh = itertools.count()


@pytest.fixture
def options(postgres: Service) -> PostgresOptions:
    return PostgresOptions(postgres.url, schema=f"state {next(fresh)}")


@pytest.fixture
async def state(options: PostgresOptions) -> AsyncIterator[PostgresState]:
    opened = await PostgresState.open(options, site="here")
    await make_bucket(opened)
    yield opened
    await opened.close()


async def healed(state: StateStore) -> None:
    async with asyncio.timeout(HEALED_SECONDS):
        while True:
            with contextlib.suppress(Unavailable):
                return await state.ping()
            await asyncio.sleep(0.01)


async def write_until_broken(state: StateStore, writer: int, acknowledged: list[Row]) -> Row:
    """The row whose commit was the first of this writer that was not acknowledged."""
    for number in itertools.count():
        written = row(version(number + 1), key=f"{writer}/{number}")
        try:
            assert (await commit(state, written)).won
        except Unavailable:
            return written
        acknowledged.append(written)
    raise AssertionError


async def test_a_killed_server_loses_nothing_acknowledged_and_the_store_heals() -> None:
    with postgresql.running() as server:
        state = await PostgresState.open(PostgresOptions(server.url), site="here")
        await make_bucket(state)
        await state.subscribe("west")
        acknowledged: list[Row] = []
        writers = [
            asyncio.create_task(write_until_broken(state, number, acknowledged))
            for number in range(WRITERS)
        ]
        while len(acknowledged) < ACKNOWLEDGED:
            await asyncio.sleep(0.001)

        server.kill()
        open_ended = await asyncio.gather(*writers)
        with pytest.raises(Unavailable, match=str(server.port)):
            await state.ping()
        await asyncio.to_thread(server.start)
        await healed(state)

        for written in acknowledged:
            assert await state.find(BUCKET, written.key) == written
        for written in open_ended:
            assert (await commit(state, written)).won
            assert await state.find(BUCKET, written.key) == written
        events = await state.unread("west", after=0, limit=100_000)
        assert sorted(event.key for _, event in events) == sorted(
            written.key for written in acknowledged + open_ended
        )
        await state.close()


async def test_a_commit_whose_answer_was_lost_has_won_when_it_is_repeated(
    options: PostgresOptions,
) -> None:
    async with Wire(options.url).laid() as wire:
        state = await PostgresState.open(replace(options, url=wire.url), site="here")
        await make_bucket(state)
        await state.subscribe("west")
        intent = await state.begin(BUCKET, "cat", lease=LEASE)
        written = row(intent.version)
        wire.cut_at_next_answer()

        with pytest.raises(Unavailable):
            await commit(state, written, intent=intent)
        again = await commit(state, written, intent=intent)

        assert again.won
        assert await state.find(BUCKET, "cat") == written
        assert len(await state.unread("west", after=0, limit=10)) == 1
        await state.close()


async def test_a_promise_to_overwrite_bytes_outlives_a_crash_of_the_server() -> None:
    with postgresql.running() as server:
        state = await PostgresState.open(PostgresOptions(server.url), site="here")
        await make_bucket(state)
        intents = [
            await state.begin(BUCKET, "in place", lease=LEASE, alone=True),
            await state.restamp(
                await state.begin(BUCKET, "late", lease=LEASE), lease=LEASE, alone=True
            ),
        ]

        server.kill()
        await asyncio.to_thread(server.start)
        await healed(state)

        for intent in intents:
            assert (await commit(state, row(intent.version, key=intent.key), intent=intent)).won
        await state.close()


@pytest.mark.parametrize(("durable", "setting"), [(True, "on"), (False, "off")])
async def test_a_server_that_is_set_to_lose_writes_does_not_lose_ours(
    options: PostgresOptions, *, durable: bool, setting: str
) -> None:
    role = f"careless{next(fresh)}"
    await tell(
        options,
        f"CREATE ROLE {role} SUPERUSER LOGIN",
        f"ALTER ROLE {role} SET synchronous_commit = off",
    )
    connections = Connections(replace(options, url=at(options, user=role), durable=durable))

    assert (await connections.read("SHOW synchronous_commit"))[0][0] == setting
    await connections.close()


async def test_a_read_over_a_broken_connection_is_asked_again(options: PostgresOptions) -> None:
    async with Wire(options.url).laid() as wire:
        state = await PostgresState.open(replace(options, url=wire.url), site="here")
        await make_bucket(state)
        written = await put(state)
        wire.cut_at_next_answer()

        assert await state.find(BUCKET, "cat") == written
        await state.close()


async def test_connections_that_the_server_ended_are_replaced(
    state: PostgresState, options: PostgresOptions
) -> None:
    await asyncio.gather(*(put(state, f"{number}") for number in range(20)))

    await tell(
        options,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ccs'",
    )

    await healed(state)
    assert await put(state, "after")


async def test_a_read_that_was_given_up_leaves_the_store_usable(state: PostgresState) -> None:
    for number in range(20):
        reading = asyncio.create_task(state.page(BUCKET, prefix="", after="", limit=number + 1))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    await put(state)
    assert len(await state.page(BUCKET, prefix="", after="", limit=10)) == 1


async def test_a_write_that_was_given_up_is_whole(state: PostgresState) -> None:
    await state.subscribe("west")
    writing = asyncio.create_task(commit(state, row(version(1))))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await state.find(BUCKET, "cat") == row(version(1))
    assert len(await state.unread("west", after=0, limit=10)) == 1


async def test_what_the_database_refuses_takes_no_other_write_with_it(
    state: PostgresState,
) -> None:
    refused = row(version(1), key="refused", etag="no\0text")

    results = await asyncio.gather(
        *(commit(state, row(version(1), key=f"{number}")) for number in range(5)),
        commit(state, refused),
        *(commit(state, row(version(1), key=f"{number}")) for number in range(5, 9)),
        return_exceptions=True,
    )

    assert [type(result) for result in results].count(Refused) == 1
    assert isinstance(results[5], Refused)
    assert len(await state.page(BUCKET, prefix="", after="", limit=100)) == 9


async def test_writes_that_met_others_are_tried_again(
    state: PostgresState, options: PostgresOptions
) -> None:
    await tell(options, "CREATE SEQUENCE tried", FAIL.format(condition="nextval('tried') < 3"))
    await state.create_upload(Upload(BUCKET, "cat", "one", "token", NOON, "main"))
    assert await ask(options, "SELECT last_value FROM tried") == 3

    await tell(options, FAIL.format(condition="true"))
    with pytest.raises(Busy, match="order"):
        await state.create_upload(Upload(BUCKET, "cat", "two", "token", NOON, "main"))


FAIL = """
CREATE OR REPLACE FUNCTION create_upload(
    bucket_lock bigint, in_bucket bytea, of_key bytea, called bytea, began bigint, told bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN
        RAISE deadlock_detected;
    END IF;
    RETURN true;
END $$"""


async def test_a_disk_without_room_is_said_so(
    state: PostgresState, options: PostgresOptions
) -> None:
    await tell(options, FAIL.format(condition="true").replace("deadlock_detected", "disk_full"))

    with pytest.raises(NoSpace, match="no room left"):
        await state.create_upload(Upload(BUCKET, "cat", "one", "token", NOON, "main"))


async def test_a_server_that_becomes_read_only_is_unavailable_until_it_is_not() -> None:
    with postgresql.running() as server:
        options = PostgresOptions(server.url)
        state = await PostgresState.open(options, site="here")
        await make_bucket(state)
        for read_only in ("on", "off"):
            await tell(
                options,
                "SET default_transaction_read_only = off",
                f"ALTER SYSTEM SET default_transaction_read_only = {read_only}",
                "SELECT pg_reload_conf()",
            )
            if read_only == "on":
                await refused_as_read_only(state)

        await healed(state)
        assert await put(state)
        await state.close()


async def refused_as_read_only(state: StateStore) -> None:
    """The server reads its settings again when it comes to it."""
    async with asyncio.timeout(HEALED_SECONDS):
        while True:
            try:
                await make_bucket(state, f"bucket-{next(fresh)}")
            except Unavailable:
                return
            await asyncio.sleep(0.01)


def at(options: PostgresOptions, *, user: str = "postgres", database: str = "postgres") -> str:
    return f"postgresql://{user}@127.0.0.1:{urlsplit(options.url).port}/{database}"


async def refusal(options: PostgresOptions, url: str) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await PostgresState.open(replace(options, url=url), site="here")
    return caught.value


async def test_a_wrong_password_is_said_so_and_not_shown(options: PostgresOptions) -> None:
    await tell(
        options,
        f"DROP ROLE IF EXISTS {postgresql.LOCKED}",
        f"CREATE ROLE {postgresql.LOCKED} LOGIN PASSWORD 'right'",
    )

    error = await refusal(options, at(options, user="locked:s3cret"))

    assert isinstance(error, AccessDenied)
    assert f"127.0.0.1:{urlsplit(options.url).port}/postgres" in str(error)
    assert "check user and password" in str(error)
    assert "s3cret" not in f"{error} {error.__cause__}"
    assert "s3cret" not in repr(replace(options, url=at(options, user="locked:s3cret")))


async def test_an_unknown_database_is_named(options: PostgresOptions) -> None:
    error = await refusal(options, at(options, database="nowhere"))

    assert isinstance(error, Unavailable)
    assert "/nowhere has no such database: create it" in str(error)


async def test_a_user_without_rights_is_told_what_lacks(options: PostgresOptions) -> None:
    await tell(options, "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN")

    error = await refusal(options, at(options, user="poor"))

    assert isinstance(error, AccessDenied)
    assert "let it own its schema" in str(error)


async def test_a_server_that_has_no_connection_left_is_unavailable(
    options: PostgresOptions,
) -> None:
    await tell(options, "DROP ROLE IF EXISTS crowd", "CREATE ROLE crowd LOGIN CONNECTION LIMIT 0")

    error = await refusal(options, at(options, user="crowd"))

    assert isinstance(error, Unavailable)
    assert "raise its max_connections" in str(error)


async def test_nobody_at_the_address_is_unavailable(options: PostgresOptions) -> None:
    error = await refusal(options, f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")

    assert isinstance(error, Unavailable)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:s3cret@host/db",
        "postgresql://me:s3/cret@host:5432/db",
        "postgresql://me:1s3?cret@host/db",
        "postgresql://me:s3@cret@host/db",
        "postgresql://me@host:s3/db",
        "s3cret",
    ],
)
async def test_a_url_that_is_none_is_refused_and_not_shown(
    options: PostgresOptions, url: str
) -> None:
    error = await refusal(options, url)

    assert isinstance(error, Refused)
    assert "s3" not in str(error)


async def test_a_certificate_that_is_not_there_is_named(options: PostgresOptions) -> None:
    error = await refusal(options, f"{options.url}?sslmode=verify-full&sslrootcert=/no/such/file")

    assert isinstance(error, Refused)
    assert "/no/such/file" in str(error)


async def test_who_waits_for_a_connection_waits_not_longer_than_for_an_answer(
    options: PostgresOptions,
) -> None:
    state = await PostgresState.open(
        replace(options, connections=1, command_seconds=0.5), site="here"
    )
    await make_bucket(state)
    await tell(options, SLOW)
    slow = asyncio.create_task(
        state.create_upload(Upload(BUCKET, "cat", "one", "token", NOON, "main"))
    )
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await asyncio.gather(slow, *(state.ping() for _ in range(3)))

    await healed(state)
    await state.close()


SLOW = FAIL.format(condition="pg_sleep(5) IS NULL")


async def test_promises_made_by_one_process_in_one_transaction_are_each_their_own(
    state: PostgresState,
) -> None:
    intents = await asyncio.gather(
        *(state.begin(BUCKET, f"{number % 7}", lease=LEASE) for number in range(200)),
        *(state.begin(f"nowhere {number}", "cat", lease=LEASE) for number in range(5)),
        return_exceptions=True,
    )

    promised = [one for one in intents if not isinstance(one, BaseException)]
    assert len(promised) == 200
    assert len({(one.key, one.version) for one in promised}) == 200
    assert await state.unsettled() == 200
