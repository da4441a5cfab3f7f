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


class NotEmpty(BackendError):
    """The bucket still holds objects."""


class PreconditionFailed(BackendError):
    """The current row is not what the caller required."""


class InvalidPart(BackendError):
    """A part named in a completion is not there, or is another one by now."""


class AccessDenied(BackendError):
    """The backend refuses these credentials, or this caller."""


class NotSupported(BackendError):
    """The backend cannot do this, now or later."""


class Unavailable(BackendError):
    """The backend did not answer; the same call may succeed later."""


class NoSpace(Unavailable):
    """The backend has no room left."""


class Corrupt(BackendError):
    """What the backend holds is not what was written."""
