"""What the statuses of HTTP say of a storage, where nothing says more (RFC 9110, 15)."""

from collections.abc import Mapping
from typing import Final

from backends import errors

Kind = type[errors.BackendError]
STATUSES: Final[Mapping[int, Kind]] = {
    401: errors.AccessDenied,
    403: errors.AccessDenied,
    404: errors.NotFound,
    412: errors.PreconditionFailed,
    429: errors.Busy,
    501: errors.NotSupported,
    503: errors.Busy,
}
SERVER_FAILED: Final = 500


def kind_of(status: int) -> Kind:
    """The class of error that a status is, 400 or more."""
    failed = errors.Unavailable if status >= SERVER_FAILED else errors.Refused
    return STATUSES.get(status, failed)
