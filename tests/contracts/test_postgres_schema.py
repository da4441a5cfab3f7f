"""The PostgreSQL store's schema: migrated once by many, refused where it is newer."""

import asyncio
import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.json import encode

from backends.errors import BackendError, NotSupported
from backends.fingerprint import MODULUS, fingerprint_of
from backends.model import KeyRange, RangeDigest, Row
from backends.state.postgres import PostgresOptions, PostgresState
from backends.state.postgres import schema as postgres_schema
from backends.state.postgres.arrivals import ARRIVALS
from backends.state.postgres.fingerprints import FINGERPRINTS
from backends.state.postgres.schema import MIGRATIONS, migrate, status
from backends.state.schema import SchemaStatus
from tests.contracts.postgres_server import ask, tell
from tests.contracts.state_stores import Wall, make_bucket, put, row, version
from tests.services.process import Service

ROOT = Path(__file__).parents[2]
WANTED = len(MIGRATIONS)
PROCESSES = 8
START = """
import asyncio, sys
from backends.model import Bucket
from backends.state.postgres import PostgresOptions, PostgresState

async def start():
    state = await PostgresState.open(PostgresOptions(sys.argv[1], schema=sys.argv[2]), site="here")
    await state.create_bucket(Bucket("photos", sys.argv[3], 0))
    print((await state.bucket("photos")).owner)
    await state.close()

asyncio.run(start())
"""
fresh = itertools.count()


@pytest.fixture
def options(postgres: Service) -> PostgresOptions:
    return PostgresOptions(postgres.url, schema=f"Schema-{next(fresh)}")


async def opened(options: PostgresOptions) -> None:
    await (await PostgresState.open(options, site="here")).close()


def test_many_processes_start_at_once_on_an_empty_database(options: PostgresOptions) -> None:
    command = [sys.executable, "-c", START, options.url, options.schema]
    started = [
        subprocess.Popen([*command, f"{number}"], cwd=ROOT, stdout=subprocess.PIPE)
        for number in range(PROCESSES)
    ]

    told = {process.communicate()[0] for process in started}

    assert [process.returncode for process in started] == [0] * PROCESSES
    assert len(told) == 1


async def test_a_database_is_migrated_once_however_many_ask(options: PostgresOptions) -> None:
    assert await status(options) == SchemaStatus(0, WANTED)

    results = await asyncio.gather(*(migrate(options) for _ in range(PROCESSES)))

    assert set(results) == {SchemaStatus(WANTED, WANTED)}
    assert await status(options) == SchemaStatus(WANTED, WANTED)


async def test_a_newer_schema_is_refused_and_left_alone(options: PostgresOptions) -> None:
    await migrate(options)
    await tell(options, f"UPDATE schema_version SET number = {WANTED + 1}")

    with pytest.raises(NotSupported, match=f"schema {WANTED + 1} .* run a newer ccs"):
        await opened(options)
    with pytest.raises(NotSupported, match="run a newer ccs"):
        await migrate(options)
    assert (await status(options)).newer


async def test_an_older_schema_is_refused_where_it_is_not_to_be_migrated(
    options: PostgresOptions,
) -> None:
    careful = replace(options, migrate=False)

    with pytest.raises(NotSupported, match="run ccs db migrate"):
        await opened(careful)
    assert await status(options) == SchemaStatus(0, WANTED)
    await migrate(options)
    await opened(careful)


async def test_a_next_migration_finds_what_was_written_before(
    options: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = await PostgresState.open(options, site="here")
    await make_bucket(state)
    written = await put(state)
    monkeypatch.setattr(
        postgres_schema, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE next AS SELECT 1 AS number")
    )

    await asyncio.gather(*(opened(options) for _ in range(PROCESSES)))

    assert await ask(options, "SELECT count(*) FROM next") == 1
    assert (await status(options)).found == WANTED + 1
    assert await state.find("photos", "cat") == written
    await state.close()


async def test_tombstones_of_the_release_before_count_from_their_versions(
    options: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = Wall()
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", until(ARRIVALS))
    await migrate(options)
    for key, age in (("old", 2000), ("young", 1000)):
        await tell(options, old_tombstone(key, wall.milliseconds - age))
    monkeypatch.undo()

    state = await PostgresState.open(options, site="here", now=wall)
    await make_bucket(state)
    assert await state.purge_tombstones(older_than=1500, limit=10) == 1
    assert await state.newest("photos", "young") is not None
    await tell(options, old_tombstone("late", 1))
    assert await state.purge_tombstones(older_than=1500, limit=10) == 0
    await state.close()


async def test_rows_of_the_release_before_have_fingerprints_when_they_are_asked_for(
    options: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(version(1 << 16), key=key) for key in ("a", "b")]
    gone = row(version(1 << 16), key="c", deleted=True)
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", until(FINGERPRINTS))
    await migrate(options)
    await tell(options, *map(old_object, rows), old_tombstone("c", 1))
    monkeypatch.undo()

    state = await PostgresState.open(options, site="here")
    await make_bucket(state)
    assert await whole(state) == expected(*rows, gone)
    again = row(version(2 << 16), key="a")
    await tell(options, f"SELECT put_row({old_values(again)}, false, true, true)")
    assert await whole(state) == expected(again, rows[1], gone)
    await state.close()


def until(migration: str) -> tuple[str, ...]:
    """Those that a release before knew."""
    return tuple(MIGRATIONS[: MIGRATIONS.index(migration)])


def old_tombstone(key: str, milliseconds: int) -> str:
    return f"INSERT INTO tombstones VALUES ('photos', '{key}', {milliseconds << 16}, 'here')"


def old_object(of: Row) -> str:
    return f"INSERT INTO objects VALUES ({old_values(of)})"


def old_values(of: Row) -> str:
    facts, stamp = of.facts, of.version.stamp
    return (
        f"'photos', '{of.key}', {stamp}, 'here', {facts.size}, '{facts.etag}', '', 'STANDARD', '',"
        f" '', '{of.locator}', '{encode(facts).decode()}'"
    )


async def whole(state: PostgresState) -> RangeDigest:
    [found] = await state.digests("photos", [KeyRange()], before=10, buried_since=0)
    return found


def expected(*rows: Row) -> RangeDigest:
    buried = sum(one.deleted for one in rows)
    return RangeDigest(len(rows) - buried, buried, sum(map(fingerprint_of, rows)) % MODULUS)


async def test_a_migration_that_fails_leaves_nothing_behind(
    options: PostgresOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(options)
    monkeypatch.setattr(
        postgres_schema, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE next (); SELECT 1 / 0")
    )

    with pytest.raises(BackendError, match="division by zero"):
        await migrate(options)

    assert await ask(options, "SELECT to_regclass('next')") is None
    assert (await status(options)).found == WANTED
    monkeypatch.undo()
    await opened(options)


async def test_a_schema_made_by_an_administrator_is_enough(options: PostgresOptions) -> None:
    owner = f"owner{next(fresh)}"
    await tell(
        options,
        f"CREATE ROLE {owner} LOGIN",
        f'CREATE SCHEMA "{options.schema}" AUTHORIZATION {owner}',
    )

    await opened(replace(options, url=options.url.replace("//postgres@", f"//{owner}@")))


async def test_two_schemas_of_one_database_know_nothing_of_each_other(
    options: PostgresOptions,
) -> None:
    stores = [
        await PostgresState.open(replace(options, schema=f"{options.schema} {name}"), site=name)
        for name in ("east", "west")
    ]
    await make_bucket(stores[0])

    assert await stores[1].every_bucket(after="", limit=10) == []
    for store in stores:
        await store.close()


async def test_every_name_is_ordered_by_its_bytes_whatever_the_database_does(
    options: PostgresOptions,
) -> None:
    await migrate(options)

    texts = await ask(
        options,
        "SELECT count(*) FROM information_schema.columns c"
        f" JOIN pg_index i ON i.indrelid = format('%I.%I', table_schema, table_name)::regclass"
        f" WHERE table_schema = '{options.schema}' AND ordinal_position = ANY (i.indkey)"
        " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
        " AND column_name <> 'locator'",
    )

    assert texts == 0
