"""The schema as numbered migrations: once released, one is never changed, only followed.

Functions are part of it. While processes of two releases run side by side, the older ones still
call the functions they know: a migration that needs another signature makes a new function.
"""

from collections.abc import Sequence
from typing import Final

from backends.errors import NotSupported
from backends.state.postgres.arrivals import ARRIVALS
from backends.state.postgres.connections import Connection, Connections
from backends.state.postgres.expiries import EXPIRIES
from backends.state.postgres.fingerprints import FINGERPRINTS
from backends.state.postgres.first_commits import COMMITS
from backends.state.postgres.first_others import OTHERS
from backends.state.postgres.first_promises import PROMISES, SHARED
from backends.state.postgres.first_tables import TABLES
from backends.state.postgres.locks import Locks
from backends.state.postgres.options import PostgresOptions
from backends.state.postgres.relocating import RELOCATING
from backends.state.postgres.replica_promises import REPLICA_PROMISES
from backends.state.schema import SchemaStatus

MIGRATIONS: Final[Sequence[str]] = (
    TABLES + SHARED + PROMISES + COMMITS + OTHERS,
    REPLICA_PROMISES,
    RELOCATING,
    ARRIVALS,
    FINGERPRINTS,
    EXPIRIES,
)
# Of the catalog itself: what is known of names (to_regclass) may be older than the lock.
SCHEMA: Final = "SELECT 1 FROM pg_namespace WHERE nspname = $1"
VERSION_TABLE: Final = (
    "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_version'"
)
PATIENCE_SECONDS: Final = 3600.0  # for a migration, and for that of another process


async def status(options: PostgresOptions) -> SchemaStatus:
    """Which schema the database has and which this program knows; nothing is changed."""
    connections = Connections(options)
    try:
        async with connections.one() as connection:
            return await _status(connection, options)
    finally:
        await connections.close()


async def migrate(options: PostgresOptions) -> SchemaStatus:
    """Bring the schema up to what this program knows. NotSupported where it is newer."""
    connections = Connections(options)
    try:
        return await prepare(connections, options, migrate=True)
    finally:
        await connections.close()


async def prepare(
    connections: Connections, options: PostgresOptions, *, migrate: bool
) -> SchemaStatus:
    """Return once the schema is the one this program knows, whoever else is at it.

    NotSupported where it is newer, or older and not to be migrated.
    """
    async with connections.one() as connection:
        found = await _status(connection, options)
        _refuse_newer(found, options)
        if found.current:
            return found
        if not migrate:
            raise NotSupported(
                f"{options.place} has schema {found.found} and this program needs {found.wanted}:"
                " run ccs db migrate"
            )
        return await _migrate(connection, options)


async def _migrate(connection: Connection, options: PostgresOptions) -> SchemaStatus:
    """All migrations that lack, in one transaction, while other processes wait."""
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = 0")
        await connection.fetchval(
            "SELECT pg_advisory_xact_lock($1)",
            Locks(options.schema).migration,
            timeout=PATIENCE_SECONDS,
        )
        found = await _status(connection, options)
        _refuse_newer(found, options)
        if not found.found:
            await _make_room(connection, options)
        for script in MIGRATIONS[found.found :]:
            await connection.execute(script, timeout=PATIENCE_SECONDS)
        await connection.execute("UPDATE schema_version SET number = $1", len(MIGRATIONS))
        return await _status(connection, options)


async def _make_room(connection: Connection, options: PostgresOptions) -> None:
    """The schema, which an administrator may have made already, and the number in it."""
    if not await connection.fetchval(SCHEMA, options.schema):
        await connection.execute(f'CREATE SCHEMA "{options.schema}"')
    await connection.execute("CREATE TABLE schema_version (number integer NOT NULL)")
    await connection.execute("INSERT INTO schema_version VALUES (0)")


async def _status(connection: Connection, options: PostgresOptions) -> SchemaStatus:
    found = 0
    if await connection.fetchval(VERSION_TABLE, options.schema):
        found = await connection.fetchval("SELECT number FROM schema_version")
    return SchemaStatus(found, len(MIGRATIONS))


def _refuse_newer(found: SchemaStatus, options: PostgresOptions) -> None:
    if found.newer:
        raise NotSupported(
            f"{options.place} has schema {found.found} and this program knows {found.wanted}:"
            " run a newer ccs"
        )
