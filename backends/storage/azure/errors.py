"""What Azure answers, as our errors: the one place that knows its codes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from backends import errors
from backends.storage.statuses import SERVER_FAILED, kind_of

UNSATISFIABLE: Final = "InvalidRange"
OTHER_KIND: Final = "InvalidBlobType"
CODES: Final[Mapping[str, type[errors.BackendError]]] = {
    "BlobNotFound": errors.NotFound,
    "ResourceNotFound": errors.NotFound,
    "ContainerNotFound": errors.BucketNotFound,
    "ContainerAlreadyExists": errors.AlreadyExists,
    "ContainerBeingDeleted": errors.Busy,
    "ContainerDisabled": errors.Unavailable,
    "ServerBusy": errors.Busy,
    "OperationTimedOut": errors.Unavailable,
    "InvalidResourceName": errors.InvalidName,
    "InvalidUri": errors.InvalidName,
    "InvalidBlockList": errors.InvalidPart,
    "InvalidBlobOrBlock": errors.InvalidPart,
    "BlobAlreadyExists": errors.PreconditionFailed,
    "ConditionNotMet": errors.PreconditionFailed,
    "SourceConditionNotMet": errors.NotFound,
    "TargetConditionNotMet": errors.PreconditionFailed,
    "LeaseIdMissing": errors.Busy,
    "PendingCopyOperation": errors.Busy,
    "Md5Mismatch": errors.Corrupt,
    "InvalidAuthenticationInfo": errors.AccessDenied,
    "InsufficientAccountPermissions": errors.AccessDenied,
    "MetadataTooLarge": errors.Refused,
}


@contextmanager
def translated(subject: str) -> Iterator[None]:
    """Around the vendor's calls only: their errors become ours, the cause kept."""
    try:
        yield
    except ClientAuthenticationError as error:
        raise errors.AccessDenied(f"{subject}: {_told(error)}") from error
    except HttpResponseError as error:
        raise _kind_of(error)(f"{subject}: the storage answered {_told(error)}") from error
    except (AzureError, OSError, TimeoutError) as error:
        raise errors.Unavailable(f"{subject}: the storage cannot be reached: {error}") from error


def is_beyond(error: errors.BackendError) -> bool:
    """Whether a range was asked for that begins behind the end of the bytes."""
    return _told_by(error) == UNSATISFIABLE


def is_other_kind(error: errors.BackendError) -> bool:
    """Whether a blob of another kind is in the way: one of pages, or one that grows."""
    return _told_by(error) == OTHER_KIND


def _kind_of(error: HttpResponseError) -> type[errors.BackendError]:
    return CODES.get(_code_of(error)) or kind_of(error.status_code or SERVER_FAILED)


def _told(error: HttpResponseError) -> str:
    first, *_ = (error.message or "").splitlines() or [""]
    return f"{error.status_code or ''} {_code_of(error) or first[:200]}"


def _told_by(error: errors.BackendError) -> str:
    """The code of the answer that an error was."""
    cause = error.__cause__
    return _code_of(cause) if isinstance(cause, HttpResponseError) else ""


def _code_of(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", "") or ""
    return str(getattr(code, "value", code))
