"""What MongoDB and its client answer, as our errors: the one place that knows their codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)

from backends import errors
from backends.state.mongo.options import MongoOptions

DUPLICATE_KEY: Final = DuplicateKeyError
DUPLICATE: Final = 11_000
KINDS: Final[dict[int, type[errors.BackendError]]] = {
    11: errors.AccessDenied,  # UserNotFound
    13: errors.AccessDenied,  # Unauthorized
    18: errors.AccessDenied,  # AuthenticationFailed
    8000: errors.AccessDenied,  # Atlas's word for a failed authentication
    14_031: errors.NoSpace,  # OutOfDiskSpace
    12_501: errors.NoSpace,  # the quota of a hosted database
    10_334: errors.Refused,  # BSONObjectTooLarge
    17_419: errors.Refused,  # an update that would make a document too large
}
TOLD: Final = 300
TAILS: Final = (", full error:", " (configured timeouts:", ", Timeout:")  # of use to no operator


@contextmanager
def translated(options: MongoOptions) -> Iterator[None]:
    """Around the client's calls only: its errors become ours, the cause kept."""
    place = f"MongoDB at {options.hosts}"
    try:
        yield
    except (BulkWriteError, OperationFailure) as error:
        kind = KINDS.get(_code_of(error), errors.Unavailable)
        if kind is errors.AccessDenied:
            place = f"{place} refuses the user {options.user!r}"
        raise kind(f"{place}: {_told(error)}") from error
    except DocumentTooLarge as error:  # no PyMongoError, but one of BSON
        raise errors.Refused(f"{place}: {_told(error)}") from error
    except PyMongoError as error:
        raise errors.Unavailable(f"{place}: {_told(error)}") from error


def only_duplicates(error: BulkWriteError) -> bool:
    """Whether all that went wrong is that documents were there already."""
    details = error.details or {}
    wrong = {failed["code"] for failed in details.get("writeErrors", ())}
    return wrong == {DUPLICATE} and not details.get("writeConcernErrors")


def _code_of(error: OperationFailure) -> int:
    details = error.details or {}
    for failed in (*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())):
        return int(failed.get("code", 0))
    return error.code or 0


def _told(error: Exception) -> str:
    text = str(error)
    for end in TAILS:
        text = text.partition(end)[0]
    return text[:TOLD]
