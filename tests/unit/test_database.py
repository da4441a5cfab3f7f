"""One SQLite file for many writers: grouped writes that do not share their failures."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Event

import pytest

from backends.database import BATCH, Database
from backends.errors import BackendError, Corrupt, NotSupported, Unavailable

TABLE = "CREATE TABLE numbers (number INTEGER PRIMARY KEY);"
SECOND = "INSERT INTO numbers VALUES (2);"
Work = Callable[[sqlite3.Connection], int]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "numbers.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    opened = Database(path, [TABLE], durable=False)
    yield opened
    await opened.close()


def insert(number: int) -> Work:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number

    return work


def insert_and_fail(number: int, error: Exception) -> Work:
    def work(connection: sqlite3.Connection) -> int:
        insert(number)(connection)
        raise error

    return work


def statement(sql: str) -> Work:
    return lambda connection: connection.execute(sql).rowcount


def numbers(database: Database) -> list[int]:
    return [number for (number,) in database.read("SELECT number FROM numbers ORDER BY number")]


async def hold_up(database: Database, until: Event) -> "asyncio.Task[bool]":
    """A write that has begun, and that nothing passes until the event."""
    begun = Event()

    def work(_: sqlite3.Connection) -> bool:
        begun.set()
        return until.wait()

    writing = asyncio.create_task(database.write(work))
    await asyncio.to_thread(begun.wait)
    return writing


async def together(database: Database, *works: Work) -> list[int | BaseException]:
    """Write them all in one batch: they queue up behind a write that waits for the last."""
    queued = Event()
    first = await hold_up(database, queued)
    writes = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0)
    queued.set()
    await first
    return await asyncio.gather(*writes, return_exceptions=True)


async def test_a_write_returns_what_its_work_returned_and_can_be_read(database: Database) -> None:
    assert await database.write(insert(7)) == 7
    assert numbers(database) == [7]


async def test_an_error_undoes_its_own_write_and_no_other_of_the_batch(database: Database) -> None:
    error = BackendError("refused")

    ended = await together(database, insert(1), insert_and_fail(2, error), insert(3))

    assert ended == [1, error, 3]
    assert numbers(database) == [1, 3]


async def test_an_error_that_is_not_ours_reaches_its_caller_alone(database: Database) -> None:
    error = ZeroDivisionError()

    ended = await together(database, insert(1), insert_and_fail(2, error), insert(3))

    assert ended == [1, error, 3]
    assert numbers(database) == [1, 3]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO numbers VALUES (1)",
        "INSERT INTO numbers VALUES ('no number')",
        "INSERT INTO nowhere VALUES (1)",
        "no statement at all",
    ],
)
async def test_a_statement_that_fails_takes_no_other_of_its_batch_with_it(
    database: Database, sql: str
) -> None:
    before, failed, after = await together(database, insert(1), statement(sql), insert(3))

    assert (before, after) == (1, 3)
    assert isinstance(failed, Unavailable)
    assert isinstance(failed.__cause__, sqlite3.Error)
    assert "numbers.db" in str(failed)
    assert numbers(database) == [1, 3]


async def test_a_write_that_ends_the_transaction_fails_the_batch_and_not_the_next(
    database: Database,
) -> None:
    def give_up(connection: sqlite3.Connection) -> int:
        return connection.execute("INSERT OR ROLLBACK INTO numbers VALUES (1)").rowcount

    ended = await together(database, insert(1), give_up, insert(3))

    assert [type(one) for one in ended] == [Unavailable] * 3
    assert numbers(database) == []
    assert await database.write(insert(4)) == 4


async def test_more_writes_than_a_batch_holds_are_all_done(database: Database) -> None:
    many = range(3 * BATCH + 1)

    assert await together(database, *map(insert, many)) == list(many)
    assert numbers(database) == list(many)


async def test_writes_happen_in_the_order_they_were_asked_for(database: Database) -> None:
    def latest(connection: sqlite3.Connection) -> int:
        found: int = connection.execute("SELECT count(*) FROM numbers").fetchone()[0]
        return insert(found)(connection)

    assert await together(database, *[latest] * 50) == list(range(50))


async def test_a_caller_that_is_cancelled_is_told_when_its_write_has_ended(
    database: Database,
) -> None:
    queued = Event()
    first = await hold_up(database, queued)
    second = asyncio.create_task(database.write(insert(1)))
    await asyncio.sleep(0)

    second.cancel()
    await asyncio.sleep(0)
    assert not second.done()
    queued.set()
    with pytest.raises(asyncio.CancelledError):
        await second

    assert numbers(database) == [1]
    assert await first


async def test_two_instances_on_one_file_see_each_others_writes(
    database: Database, path: Path
) -> None:
    other = Database(path, [TABLE], durable=False)

    writes = [one.write(insert(number)) for number, one in enumerate([database, other] * 100)]
    await asyncio.gather(*writes)

    assert numbers(database) == numbers(other) == list(range(200))
    await other.close()


async def test_close_finishes_what_is_queued(path: Path) -> None:
    database = Database(path, [TABLE], durable=False)
    queued = Event()
    first = await hold_up(database, queued)
    writes = [asyncio.create_task(database.write(insert(number))) for number in range(600)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    queued.set()

    await closing

    assert await first
    assert await asyncio.gather(*writes) == list(range(600))
    again = Database(path, [TABLE])
    assert numbers(again) == list(range(600))
    await again.close()


async def test_only_the_migrations_that_a_file_has_not_seen_are_run(path: Path) -> None:
    first = Database(path, [TABLE])
    await first.write(insert(1))
    await first.close()

    second = Database(path, [TABLE, SECOND])
    await second.close()
    third = Database(path, [TABLE, SECOND])

    assert numbers(third) == [1, 2]
    await third.close()


async def test_a_file_of_a_newer_schema_is_refused_and_left_as_it_is(path: Path) -> None:
    newer = Database(path, [TABLE, SECOND])
    await newer.close()

    with pytest.raises(NotSupported, match="newer ccs"):
        Database(path, [TABLE])

    again = Database(path, [TABLE, SECOND])
    assert numbers(again) == [2]
    await again.close()


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(path: Path) -> None:
    first = Database(path, [TABLE])
    await first.close()
    broken = "INSERT INTO numbers VALUES (1); INSERT INTO nowhere VALUES (1);"

    with pytest.raises(Unavailable):
        Database(path, [TABLE, broken])

    again = Database(path, [TABLE])
    assert numbers(again) == []
    await again.close()


async def test_a_migration_may_be_a_function_and_is_undone_where_it_fails(path: Path) -> None:
    def second(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (2)")

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (3)")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    await Database(path, [TABLE, second]).close()
    with pytest.raises(Unavailable):
        Database(path, [TABLE, second, broken])

    again = Database(path, [TABLE, second])
    assert numbers(again) == [2]
    await again.close()


async def test_a_scan_reads_in_a_thread_while_others_read_and_write(database: Database) -> None:
    begun, go_on = Event(), Event()

    def work(connection: sqlite3.Connection) -> int:
        begun.set()
        go_on.wait()
        found = connection.execute("SELECT count(*) FROM numbers").fetchone()
        return int(found[0])

    scan = asyncio.create_task(database.scan(work))
    await asyncio.to_thread(begun.wait)
    await database.write(insert(1))
    assert numbers(database) == [1]
    go_on.set()

    assert await scan == 1


async def test_a_scan_of_what_is_not_there_is_unavailable(database: Database) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        await database.scan(statement("SELECT 1 FROM nowhere"))


async def test_close_waits_for_a_scan_that_was_given_up(path: Path) -> None:
    database = Database(path, [TABLE], durable=False)
    begun, go_on = Event(), Event()

    def work(connection: sqlite3.Connection) -> int:
        begun.set()
        go_on.wait()
        return connection.execute("SELECT 1").fetchall() == [(1,)]

    scan = asyncio.create_task(database.scan(work))
    await asyncio.to_thread(begun.wait)
    scan.cancel()
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    go_on.set()

    await closing
    with pytest.raises(asyncio.CancelledError):
        await scan


def test_a_file_that_is_no_database_is_corrupt(path: Path) -> None:
    path.write_bytes(b"this is not a database, it is a text" * 100)

    with pytest.raises(Corrupt, match=path.name):
        Database(path, [TABLE])


async def test_a_read_that_fails_is_a_neutral_error(database: Database) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        database.read("SELECT * FROM nowhere")


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.with_suffix(".new").touch()
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("take_away", [remove, replace])
async def test_nothing_is_written_into_a_file_that_lost_its_name(
    path: Path, database: Database, take_away: Callable[[Path], None]
) -> None:
    await database.write(insert(1))
    database.ping()
    take_away(path)

    with pytest.raises(Unavailable, match="restart the gateway"):
        await database.write(insert(2))
    with pytest.raises(Unavailable, match="restart the gateway"):
        database.ping()
