"""What requests wait for reads an index, from where it starts to as far as it must."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from backends.clock import milliseconds
from backends.database import Database
from backends.model import Bucket, Event, Facts, KeyRange, Part, Row, Upload, Version
from backends.state.protocol import Due
from backends.state.sqlite import SQLiteState
from backends.state.sqlite.schema import MIGRATIONS

ROWS = 2_000
LIMIT = 10
STEPS = 60 * LIMIT
MIDDLE = f"k/{ROWS // 2:05}"
NEAR = f"k/{ROWS // 2 + LIMIT:05}"
UPLOAD = "upload"

SCANS = re.compile(r"SCAN (?!\(subquery)")  # that one has the sums of two tables, in two rows
T = TypeVar("T")
Statement = tuple[str, Sequence[Any]]
Read = Callable[[SQLiteState], Awaitable[object]]


class Recorded(Database):
    """A database that remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MIGRATIONS, durable=False)
        self.asked: list[Statement] = []

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.asked.append((sql, parameters))
        return super().read(sql, parameters)

    async def scan(self, work: Callable[[sqlite3.Connection], T]) -> T:
        told: list[str] = []

        def traced(connection: sqlite3.Connection) -> T:
            connection.set_trace_callback(told.append)
            return work(connection)

        answer = await super().scan(traced)
        self.asked += [(sql, ()) for sql in told]
        return answer


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with thousands of objects, uploads, parts and events."""
    path = tmp_path_factory.mktemp("plans") / "state.db"
    asyncio.run(fill(path))
    return path


async def fill(path: Path) -> None:
    state = SQLiteState.open(path, site="here", durable=False)
    await state.create_bucket(Bucket("photos", "main", 0))
    await state.subscribe("west")
    await asyncio.gather(*(add(state, number) for number in range(ROWS)))
    await state.close()


async def add(state: SQLiteState, number: int) -> None:
    key, version = f"k/{number:05}", Version(1, "here")
    await state.create_bucket(Bucket(f"bucket-{number}", "main", 0))
    row = Row("photos", key, Facts(version, expires=number + 1), "there")
    await state.commit(row, Event("ObjectCreated:Put", "photos", key, version))
    await state.create_upload(Upload("photos", key, UPLOAD, "token", 0, "main"))
    await state.create_upload(Upload("photos", "one", f"{number:05}", "token", 0, "main"))
    await state.put_part("photos", key, UPLOAD, Part(number + 1, 5, "etag", 0, "token"))


READS: dict[str, Read] = {
    "find": lambda state: state.find("photos", MIDDLE),
    "newest": lambda state: state.newest("photos", MIDDLE),
    "page": lambda state: state.page("photos", prefix="", after=MIDDLE, limit=LIMIT),
    "page of a prefix": lambda state: state.page("photos", prefix="k/01", after="", limit=LIMIT),
    "page within a prefix": lambda state: state.page(
        "photos", prefix="k/", after=MIDDLE, limit=LIMIT
    ),
    "page behind the last": lambda state: state.page("photos", prefix="", after="z", limit=LIMIT),
    "inventory": lambda state: state.inventory("photos", after=MIDDLE, limit=LIMIT),
    "inventory of a range": lambda state: state.inventory(
        "photos", after=MIDDLE, upto=NEAR, limit=ROWS
    ),
    "digests": lambda state: state.digests(
        "photos", [KeyRange(MIDDLE, NEAR)], before=milliseconds(), buried_since=0
    ),
    "split": lambda state: state.split("photos", KeyRange(MIDDLE, NEAR), every=3, limit=LIMIT),
    "upload": lambda state: state.upload("photos", MIDDLE, UPLOAD),
    "uploads": lambda state: state.uploads(
        "photos", prefix="", after=(MIDDLE, UPLOAD), limit=LIMIT
    ),
    "uploads of a prefix": lambda state: state.uploads(
        "photos", prefix="k/01", after=("", ""), limit=LIMIT
    ),
    "uploads within a prefix": lambda state: state.uploads(
        "photos", prefix="k/", after=(MIDDLE, ""), limit=LIMIT
    ),
    "uploads of one key": lambda state: state.uploads(
        "photos", prefix="one", after=("one", f"{ROWS // 2:05}"), limit=LIMIT
    ),
    "parts": lambda state: state.parts("photos", MIDDLE, UPLOAD, after=ROWS // 2, limit=LIMIT),
    "stale uploads": lambda state: state.stale_uploads(older_than=0, limit=LIMIT),
    "buckets": lambda state: state.buckets("main", prefix="", after="bucket-5", limit=LIMIT),
    "expired": lambda state: state.expired(after=Due(ROWS // 2, "photos", ""), limit=LIMIT),
    "unread": lambda state: state.unread("west", after=ROWS // 2, limit=LIMIT),
}


@pytest.fixture(params=READS)
def asked(request: pytest.FixtureRequest, file: Path) -> list[Statement]:
    """The statements of one read."""
    return asyncio.run(record(file, READS[request.param]))


async def record(file: Path, read: Read) -> list[Statement]:
    database = Recorded(file)
    state = SQLiteState(database, "here", milliseconds)
    await read(state)
    await state.close()
    return database.asked


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file)) as opened:
        yield opened


def test_no_read_scans_a_table_or_sorts(
    connection: sqlite3.Connection, asked: list[Statement]
) -> None:
    for sql, parameters in asked:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
        steps = [detail for *_, detail in plan]

        assert steps
        assert not [step for step in steps if SCANS.match(step) or "TEMP B-TREE" in step]


def test_what_is_compared_is_read_from_the_index_alone(
    file: Path, connection: sqlite3.Connection
) -> None:
    for name in ("digests", "split"):
        told = asyncio.run(record(file, READS[name]))
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql, _ in told[1:]]
        steps = [detail for plan in plans for *_, detail in plan if "objects" in detail]
        assert steps
        assert all("USING COVERING INDEX objects_by_fingerprint" in step for step in steps)


def test_a_read_costs_what_it_answers_wherever_it_starts(
    connection: sqlite3.Connection, asked: list[Statement]
) -> None:
    for statement in asked:
        assert steps_of(connection, statement) < STEPS


def steps_of(connection: sqlite3.Connection, statement: Statement) -> int:
    """How many steps of its virtual machine SQLite takes to answer."""
    steps: list[None] = []
    connection.set_progress_handler(lambda: steps.append(None), 1)
    connection.execute(*statement).fetchall()
    return len(steps)
