"""PostgreSQL's errors as neutral ones that say where and what to do, never the password."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from backends.errors import (
    AccessDenied,
    BackendError,
    Busy,
    Corrupt,
    NoSpace,
    Refused,
    Unavailable,
)

# By SQLSTATE: five characters, or the two of a class (PostgreSQL manual, appendix A).
ERRORS: Final[dict[str, tuple[type[BackendError], str]]] = {
    "22": (Refused, "does not take this value"),
    "28": (AccessDenied, "refuses this user: check user and password in the URL"),
    "3D": (Unavailable, "has no such database: create it"),
    "42501": (AccessDenied, "denies the user a right it needs: let it own its schema"),
    "53100": (NoSpace, "has no room left on its disk"),
    "53300": (Unavailable, "has no connection left: raise its max_connections"),
    "25006": (Unavailable, "is read-only just now"),
    "40001": (Busy, "could not bring writes into an order"),
    "40P01": (Busy, "could not bring writes into an order"),
    "55P03": (Busy, "made a write wait too long for others"),
    "57014": (Unavailable, "took too long and was interrupted"),
    "57P03": (Unavailable, "is starting or stopping"),
    "XX001": (Corrupt, "found damaged data"),
    "XX002": (Corrupt, "found a damaged index"),
}
OTHERS: Final = (Unavailable, "failed")
# Two transactions got into each other's way and one was undone: it may be tried again at once.
UNDONE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
# The connection is of no more use: broken, or to a server that takes no writes any more.
LOST: Final = (
    OSError,  # TimeoutError too
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)


@contextmanager
def neutral_errors(place: str) -> Iterator[None]:
    """Raise what asyncpg raises as neutral errors. A broken connection is Unavailable."""
    try:
        yield
    except asyncpg.PostgresError as error:
        kind, words = ERRORS.get(error.sqlstate or "") or ERRORS.get(_class_of(error)) or OTHERS
        raise kind(f"{place} {words} ({error})") from error
    except TimeoutError as error:
        raise Unavailable(f"{place} did not answer in time") from error
    except asyncpg.ClientConfigurationError as error:
        raise Refused(f"{place} cannot be reached like that: {error}") from error
    except LOST as error:
        raise Unavailable(f"{place} did not answer ({error})") from error


def _class_of(error: asyncpg.PostgresError) -> str:
    return (error.sqlstate or "")[:2]
