"""Neutral errors: what went wrong, in words that no wire and no vendor owns.

Drivers raise these and nothing else; the S3 border translates each class once.
"""


class BackendError(Exception):
    """Anything the ground could not do. The message says what, to what."""


class NotFound(BackendError):
    """There is nothing at that name."""


class BucketNotFound(NotFound):
    """There is no such bucket."""


class UploadNotFound(NotFound):
    """There is no such multipart upload, or it ended."""


class AlreadyExists(BackendError):
    """The name is taken."""


class InvalidName(BackendError):
    """The backend does not take this name."""


class NotEmpty(BackendError):
    """The bucket still holds objects."""


class PreconditionFailed(BackendError):
    """The current row is not what the caller required."""


class InvalidPart(BackendError):
    """A part named in a completion is not there, or is another one by now."""


class Superseded(BackendError):
    """A newer version of the thing is there already."""


class AccessDenied(BackendError):
    """The backend refuses these credentials, or this caller."""


class NotSupported(BackendError):
    """The backend cannot do this, now or later."""


class Unavailable(BackendError):
    """The backend did not answer; the same call may succeed later.

    `retry_after`: the seconds it asked to wait, where it said so.
    """

    retry_after: float = 0.0


class Unreached(Unavailable):
    """The backend was not even asked: nothing has happened."""


class Busy(Unavailable):
    """The backend, or another writer of the same thing, asks to come back a little later."""


class NoSpace(Unavailable):
    """The backend has no room left."""


class Refused(BackendError):
    """The backend does not take this request, as it is."""


class Corrupt(BackendError):
    """What the backend holds is not what was written."""
