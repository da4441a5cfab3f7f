"""What the rules refuse, beyond what the ground does."""

from backends.errors import BackendError


class BucketTaken(BackendError):
    """Another client has a bucket of that name."""


class InvalidBucketName(BackendError):
    """The name breaks the rules for buckets."""


class PartsOutOfOrder(BackendError):
    """The parts of a completion are not in ascending order."""


class PartTooSmall(BackendError):
    """A part that is not the last is below the least size."""


class LostRace(BackendError):
    """A concurrent write got in the way after this one could no longer be taken back."""
