"""The state that the settings name: opened, looked at, migrated."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.state import sqlite
from backends.state.protocol import StateStore
from backends.state.schema import SchemaStatus
from s3proxy.config import ConfigError, Settings

EXTRA: Final = "{kind} state needs an extra: pip install 'clone-cloud-store[{kind}]' ({error})"
STATELESS: Final = "state.kind is none: such a gateway has no database"


@dataclass(frozen=True, slots=True)
class Database:
    """What can be done with one kind of database."""

    open: Callable[[Settings], Coroutine[Any, Any, StateStore]]
    status: Callable[[Settings], Coroutine[Any, Any, SchemaStatus]]
    migrate: Callable[[Settings], Coroutine[Any, Any, SchemaStatus]]


async def open_state(settings: Settings) -> StateStore:
    """The state store, migrated if need be. ConfigError, and as each store says."""
    return await database_of(settings).open(settings)


def database_of(settings: Settings) -> Database:
    """The kind of database that the settings name. ConfigError where there is none."""
    kind = settings.state.kind
    if kind not in DATABASES:
        raise ConfigError(STATELESS)
    try:
        return DATABASES[kind]()
    except ImportError as error:
        raise ConfigError(EXTRA.format(kind=kind, error=error)) from error


async def _open_sqlite(settings: Settings) -> StateStore:
    return sqlite.SQLiteState.open(
        settings.storage.data / "state.db",
        site=settings.site.name,
        durable=settings.storage.durable,
    )


async def _status_of_sqlite(settings: Settings) -> SchemaStatus:
    return sqlite.status(settings.storage.data / "state.db")


async def _migrate_sqlite(settings: Settings) -> SchemaStatus:
    await (await _open_sqlite(settings)).close()
    return await _status_of_sqlite(settings)


def _sqlite() -> Database:
    return Database(_open_sqlite, _status_of_sqlite, _migrate_sqlite)


def _postgres() -> Database:
    from backends.state import postgres

    def options(settings: Settings) -> postgres.PostgresOptions:
        chosen = settings.state.postgres
        return postgres.PostgresOptions(
            url=chosen.url,
            schema=chosen.schema_name,
            connections=chosen.connections,
            connect_seconds=chosen.connect_seconds,
            command_seconds=chosen.command_seconds,
            migrate=settings.state.migrate,
            durable=settings.storage.durable,
        )

    return Database(
        lambda settings: postgres.PostgresState.open(options(settings), site=settings.site.name),
        lambda settings: postgres.status(options(settings)),
        lambda settings: postgres.migrate(options(settings)),
    )


def _mongo() -> Database:
    from backends.state import mongo

    def options(settings: Settings) -> mongo.MongoOptions:
        chosen = settings.state.mongo
        return mongo.MongoOptions(**chosen.model_dump(), select_seconds=chosen.connect_seconds)

    return Database(
        lambda settings: mongo.MongoState.open(
            options(settings), site=settings.site.name, migrate=settings.state.migrate
        ),
        lambda settings: mongo.status(options(settings)),
        lambda settings: mongo.migrate(options(settings)),
    )


# The libraries of a database are loaded only where it is used.
DATABASES: Final[Mapping[str, Callable[[], Database]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mongo": _mongo,
}
