"""PostgreSQL's errors and addresses, in words for people."""

import asyncpg
import pytest

from backends.errors import (
    AccessDenied,
    BackendError,
    Busy,
    Corrupt,
    NoSpace,
    Refused,
    Unavailable,
)
from backends.state.postgres.errors import neutral_errors
from backends.state.postgres.options import PostgresOptions


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.DiskFullError("x"), NoSpace),
        (asyncpg.TooManyConnectionsError("x"), Unavailable),
        (asyncpg.CannotConnectNowError("x"), Unavailable),
        (asyncpg.AdminShutdownError("x"), Unavailable),
        (asyncpg.ReadOnlySQLTransactionError("x"), Unavailable),
        (asyncpg.QueryCanceledError("x"), Unavailable),
        (asyncpg.ConnectionDoesNotExistError("x"), Unavailable),
        (asyncpg.UndefinedTableError("x"), Unavailable),
        (asyncpg.InterfaceError("x"), Unavailable),
        (asyncpg.TargetServerAttributeNotMatched("x"), Unavailable),
        (ConnectionRefusedError("x"), Unavailable),
        (TimeoutError(), Unavailable),
        (asyncpg.SerializationError("x"), Busy),
        (asyncpg.DeadlockDetectedError("x"), Busy),
        (asyncpg.LockNotAvailableError("x"), Busy),
        (asyncpg.InvalidPasswordError("x"), AccessDenied),
        (asyncpg.InsufficientPrivilegeError("x"), AccessDenied),
        (asyncpg.DataCorruptedError("x"), Corrupt),
        (asyncpg.CharacterNotInRepertoireError("x"), Refused),
        (asyncpg.ClientConfigurationError("x"), Refused),
    ],
)
def test_an_error_is_neutral_and_names_the_place(
    error: Exception, kind: type[BackendError]
) -> None:
    expected = pytest.raises(BackendError, match="PostgreSQL at db1")

    with expected as caught, neutral_errors("PostgreSQL at db1"):
        raise error

    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:secret@db1:5433/ccs", "PostgreSQL at db1:5433/ccs"),
        ("postgres://db1/ccs?sslmode=require&password=secret", "PostgreSQL at db1/ccs"),
        ("postgresql://me:secret@db1:1,[::1]:2/ccs", "PostgreSQL at db1:1,[::1]:2/ccs"),
        ("postgresql://me:sec/ret@db1/ccs", "PostgreSQL"),
    ],
)
def test_a_place_has_no_password_in_it(url: str, place: str) -> None:
    options = PostgresOptions(url)

    assert options.place == place
    assert "secret" not in repr(options)
