"""The border: what the ground and the rules raise, as S3 says it. Nothing else translates."""

from typing import Final

from backends import errors as ground
from s3proxy.gateway import errors as rules
from s3proxy.s3.errors import S3Error

CODES: Final[dict[type[ground.BackendError], str]] = {
    ground.BucketNotFound: "NoSuchBucket",
    ground.UploadNotFound: "NoSuchUpload",
    ground.NotFound: "NoSuchKey",
    ground.AlreadyExists: "BucketAlreadyExists",
    ground.NotEmpty: "BucketNotEmpty",
    ground.PreconditionFailed: "PreconditionFailed",
    ground.Superseded: "PreconditionFailed",
    ground.InvalidPart: "InvalidPart",
    ground.AccessDenied: "AccessDenied",
    ground.NotSupported: "NotImplemented",
    ground.NoSpace: "StorageFull",
    ground.Busy: "SlowDown",
    ground.Unavailable: "ServiceUnavailable",
    ground.InvalidName: "InvalidArgument",
    ground.Refused: "InvalidRequest",
    ground.Corrupt: "InternalError",
    rules.BucketTaken: "BucketAlreadyExists",
    rules.InvalidBucketName: "InvalidBucketName",
    rules.PartsOutOfOrder: "InvalidPartOrder",
    rules.PartTooSmall: "EntityTooSmall",
    rules.LostRace: "ConditionalRequestConflict",
}
PRIVATE: Final = frozenset({"InternalError", "ServiceUnavailable", "StorageFull"})
RETRY: Final = {
    "ServiceUnavailable": {"retry-after": "1"},
    "SlowDown": {"retry-after": "1"},
}


def to_s3(error: ground.BackendError) -> S3Error:
    """The S3 error for a neutral one; what only operators should read stays in the log."""
    code = next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), "InternalError")
    message = "" if code in PRIVATE else str(error)
    return S3Error(code, message, headers=RETRY.get(code))
