"""What requests and workers wait for over PostgreSQL reads an index, whatever a table holds."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.model import (
    Discard,
    Event,
    Facts,
    Intent,
    KeyRange,
    Part,
    Precondition,
    Row,
    Version,
)
from backends.state.postgres import PostgresOptions, PostgresState
from backends.state.postgres.connections import Connections
from backends.state.postgres.locks import Locks
from backends.state.protocol import Due
from tests.contracts.postgres_server import session, tell
from tests.services.process import Service

ROWS = 100_000
LIMIT = 10
TOUCHED = 20 * LIMIT
MIDDLE = f"k/{ROWS // 2:06}"
NEAR = f"k/{ROWS // 2 + LIMIT:06}"

Statement = tuple[str, tuple[object, ...]]
Verb = Callable[[PostgresState], Awaitable[object]]

FILL = f"""
INSERT INTO buckets SELECT convert_to('bucket-' || n, 'UTF8'), 'main', 0, '', ''
    FROM generate_series(1, 10000) n;
INSERT INTO buckets VALUES ('photos', 'main', 0, '', '');
INSERT INTO objects SELECT 'photos', convert_to('k/' || lpad(n::text, 6, '0'), 'UTF8'), 1, 'here',
    5, 'etag', 'main', 'STANDARD', '', '', 'at ' || n,
    '{{"version": {{"stamp": 1, "site": "here"}}, "etag": "etag"}}'
    FROM generate_series(1, {ROWS}) n;
INSERT INTO expiries SELECT n, 'photos', convert_to('k/' || lpad(n::text, 6, '0'), 'UTF8'), 1,
    'here', 0 FROM generate_series(1, {ROWS}) n;
INSERT INTO tombstones SELECT 'photos', convert_to('gone/' || n, 'UTF8'), n, 'here', n
    FROM generate_series(1, {ROWS}) n;
INSERT INTO intents SELECT 'photos', convert_to('k/' || lpad(n::text, 6, '0'), 'UTF8'), 2, 'here',
    n, false,
    '{{"bucket": "photos", "key": "k", "version": {{"stamp": 0, "site": ""}}, "expires": 0}}'
    FROM generate_series(1, {ROWS}) n;
INSERT INTO discards SELECT 'photos', 'k', 'old ' || n, n FROM generate_series(1, {ROWS}) n;
INSERT INTO subscriptions VALUES ('west', 0);
INSERT INTO outbox (bucket, key, stamp, site, event) SELECT 'photos', convert_to('k/' || n, 'UTF8'),
    1, 'here', '{{"name": "n", "bucket": "b", "key": "k", "version": {{"stamp": 0, "site": ""}}}}'
    FROM generate_series(1, {ROWS}) n;
INSERT INTO uploads SELECT 'photos', convert_to('k/' || lpad(n::text, 6, '0'), 'UTF8'), 'upload', n,
    '{{"bucket": "b", "key": "k", "name": "u", "token": "t", "started": 0, "owner": "o"}}'
    FROM generate_series(1, {ROWS}) n;
INSERT INTO parts SELECT 'upload', n,
    '{{"number": 1, "size": 5, "etag": "e", "modified": 0, "token": "t"}}'
    FROM generate_series(1, {ROWS}) n;
"""


class Recorded(Connections):
    """Connections that remember what they were asked."""

    def __init__(self, options: PostgresOptions) -> None:
        super().__init__(options)
        self.asked: list[Statement] = []

    async def read(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        self.asked.append((sql, arguments))
        return await super().read(sql, *arguments)

    async def batch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        self.asked.append((sql, arguments))
        return await super().batch(sql, *arguments)


@pytest.fixture(scope="module", params=["never looked at", "looked at"])
def options(request: pytest.FixtureRequest, postgres: Service) -> Iterator[PostgresOptions]:
    """A state of many rows, of which the planner knows nothing, or all."""
    filled = PostgresOptions(postgres.url, schema=f"plans {request.param}", connections=1)
    asyncio.run(fill(filled, analyse=request.param == "looked at"))
    yield filled
    asyncio.run(tell(filled, f'DROP SCHEMA "{filled.schema}" CASCADE'))


async def fill(options: PostgresOptions, *, analyse: bool) -> None:
    await (await PostgresState.open(options, site="here")).close()
    rows = ("buckets", "objects", "expiries", "tombstones")
    tables = (*rows, "intents", "discards", "outbox", "uploads")
    await tell(options, *(f"ALTER TABLE {name} SET (autovacuum_enabled = off)" for name in tables))
    await tell(options, FILL)
    if analyse:
        await tell(options, *(f"ANALYZE {name}" for name in tables))


def intent(number: int) -> Intent:
    return Intent("photos", f"k/{number:06}", Version(2, "here"), number)


def row(key: str, *, stamp: int = 2**61, deleted: bool = False) -> Row:
    return Row("photos", key, Facts(Version(stamp, "here")), "" if deleted else "there", deleted)


def event(key: str) -> Event:
    return Event("ObjectCreated:Put", "photos", key, Version(1, "here"))


READS: dict[str, Verb] = {
    "find": lambda state: state.find("photos", MIDDLE),
    "newest": lambda state: state.newest("photos", MIDDLE),
    "newest tombstone": lambda state: state.newest("photos", "gone/7"),
    "page": lambda state: state.page("photos", prefix="", after=MIDDLE, limit=LIMIT),
    "page of a prefix": lambda state: state.page("photos", prefix="k/01", after="", limit=LIMIT),
    "page within a prefix": lambda state: state.page(
        "photos", prefix="k/", after=MIDDLE, limit=LIMIT
    ),
    "page behind the last": lambda state: state.page("photos", prefix="", after="z", limit=LIMIT),
    "inventory": lambda state: state.inventory("photos", after="gone/99998", limit=LIMIT),
    "inventory of a range": lambda state: state.inventory(
        "photos", after=MIDDLE, upto=NEAR, limit=LIMIT
    ),
    "digests": lambda state: state.digests(
        "photos",
        [KeyRange(MIDDLE, NEAR), KeyRange("gone/7", "gone/70003")],
        before=milliseconds(),
        buried_since=0,
    ),
    "split": lambda state: state.split("photos", KeyRange(MIDDLE, NEAR), every=3, limit=LIMIT),
    "split of tombstones": lambda state: state.split(
        "photos", KeyRange("gone/7", "gone/70003"), every=2, limit=LIMIT
    ),
    "is changing": lambda state: state.is_changing("photos", MIDDLE),
    "upload": lambda state: state.upload("photos", MIDDLE, "upload"),
    "uploads": lambda state: state.uploads(
        "photos", prefix="", after=(MIDDLE, "upload"), limit=LIMIT
    ),
    "uploads of a prefix": lambda state: state.uploads(
        "photos", prefix="k/01", after=("", ""), limit=LIMIT
    ),
    "parts": lambda state: state.parts("photos", MIDDLE, "upload", after=ROWS // 2, limit=LIMIT),
    "stale uploads": lambda state: state.stale_uploads(older_than=0, limit=LIMIT),
    "discards": lambda state: state.discards(older_than=0, limit=LIMIT),
    "bucket": lambda state: state.bucket("photos"),
    "buckets": lambda state: state.buckets("main", prefix="", after="bucket-5", limit=LIMIT),
    "every bucket": lambda state: state.every_bucket(after="bucket-5", limit=LIMIT),
    "unread": lambda state: state.unread("west", after=ROWS // 2, limit=LIMIT),
    "expired": lambda state: state.expired(after=Due(ROWS // 2, "photos", ""), limit=LIMIT),
    "claim": lambda state: state.claim_expired_intents(lease=10**12, limit=LIMIT),
    "purge": lambda state: state.purge_tombstones(older_than=0, limit=LIMIT),
    "drop discards": lambda state: state.drop_discards([Discard("photos", "k", "old 7")]),
    "drop an intent": lambda state: state.drop_intent(intent(7)),
    "renew": lambda state: state.renew(intent(ROWS), lease=10**12),
}

WRITES: dict[str, Verb] = {
    "begin": lambda state: state.begin("photos", MIDDLE, lease=10**12, alone=True),
    "begin if": lambda state: state.begin(
        "photos", "k/000011", lease=10**12, condition=Precondition(match="etag")
    ),
    "begin a replica": lambda state: state.begin(
        "photos", "k/000012", lease=10**12, version=Version(2**61, "west"), alone=True
    ),
    "restamp a replica": lambda state: state.restamp(
        replace(intent(ROWS - 3), replica=True), lease=10**12, alone=True
    ),
    "restamp": lambda state: state.restamp(intent(ROWS - 1), lease=10**12, alone=True),
    "commit": lambda state: state.commit(
        row("k/000100", stamp=3), event("k/000100"), upload="upload"
    ),
    "commit a promise": lambda state: state.commit(
        row(f"k/{ROWS - 2:06}"), event("k"), intent=intent(ROWS - 2)
    ),
    "commit a tombstone": lambda state: state.commit(row("k/000101", deleted=True), None),
    "commit a tombstone of no object": lambda state: state.commit(
        row("gone/8", deleted=True), None
    ),
    "bury": lambda state: state.bury("photos", "k/000102", "ObjectRemoved:Delete", "1"),
    "put a part": lambda state: state.put_part(
        "photos", MIDDLE, "upload", Part(7, 5, "etag", 0, "token")
    ),
    "delete a bucket": lambda state: state.delete_bucket("bucket-7"),
    "acknowledge": lambda state: state.acknowledge("west", 10),
}


async def ask(options: PostgresOptions, verb: Verb) -> list[Statement]:
    """The statements of one verb."""
    connections = Recorded(options)
    state = PostgresState(connections, Locks(options.schema), "here", milliseconds)
    await verb(state)
    await state.close()
    return connections.asked


async def plan_of(options: PostgresOptions, statement: Statement) -> dict[str, Any]:
    """The plan that a prepared statement has in a session of the store, as it went."""
    sql, arguments = statement
    connections = Connections(options)
    async with connections.one() as connection, connection.transaction():
        await connection.execute(f"PREPARE asked AS {sql}")
        execute = f"EXECUTE asked ({', '.join(map(literal, arguments))})"
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {execute}")
    await connections.close()
    plan: dict[str, Any] = json.loads(told)[0]["Plan"]
    return plan


def literal(value: object) -> str:
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(literal, value))}]" + (
            "::bytea[]" if isinstance(value[0], bytes) else ""
        )
    return str(value) if isinstance(value, int) else f"'{value}'"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.mark.parametrize("verb", READS.values(), ids=READS)
async def test_a_statement_reads_by_index_and_no_more_than_it_answers(
    options: PostgresOptions, verb: Verb
) -> None:
    for statement in await ask(options, verb):
        plan = list(nodes(await plan_of(options, statement)))

        kinds = {node["Node Type"] for node in plan}
        assert kinds & {"Index Scan", "Index Only Scan"}
        assert not [kind for kind in kinds if "Sort" in kind or "Hash" in kind or "Seq" in kind]
        assert not [node for node in plan if node.get("Rows Removed by Filter", 0) > TOUCHED]
        assert max(node["Actual Rows"] * node["Actual Loops"] for node in plan) <= TOUCHED


@pytest.mark.parametrize("verb", WRITES.values(), ids=WRITES)
async def test_a_function_scans_no_table(options: PostgresOptions, verb: Verb) -> None:
    before = await scanned(options)

    await ask(options, verb)

    assert await scanned(options) == before


SCANNED = """
    SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = $1
    AND relname NOT IN ('schema_version', 'subscriptions') ORDER BY relname"""


async def scanned(options: PostgresOptions) -> list[tuple[str, int]]:
    """How often each table was read from end to end, but for the one with a row a group."""
    async with session(options) as connection:
        return [tuple(record) for record in await connection.fetch(SCANNED, options.schema)]
