"""What an S3 endpoint answers, as our errors: the one place that knows its codes."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from xml.parsers.expat import ExpatError

import xmltodict
from botocore import exceptions as vendor

from backends import errors
from backends.storage.statuses import kind_of

CODES: Final[Mapping[str, type[errors.BackendError]]] = {
    "NoSuchBucket": errors.BucketNotFound,
    "NoSuchKey": errors.NotFound,
    "NoSuchUpload": errors.UploadNotFound,
    "NoSuchTagSet": errors.NotFound,
    "InvalidPart": errors.InvalidPart,
    "InvalidPartOrder": errors.InvalidPart,
    "EntityTooSmall": errors.InvalidPart,
    "PreconditionFailed": errors.PreconditionFailed,
    "ConditionalRequestConflict": errors.PreconditionFailed,
    "BucketNotEmpty": errors.NotEmpty,
    "BucketAlreadyExists": errors.AlreadyExists,
    "BucketAlreadyOwnedByYou": errors.AlreadyExists,
    "InvalidBucketName": errors.InvalidName,
    "KeyTooLongError": errors.InvalidName,
    "InvalidObjectName": errors.InvalidName,
    "XMinioInvalidObjectName": errors.InvalidName,
    "AccessDenied": errors.AccessDenied,
    "AllAccessDisabled": errors.AccessDenied,
    "AuthorizationHeaderMalformed": errors.AccessDenied,
    "PermanentRedirect": errors.AccessDenied,
    "IllegalLocationConstraintException": errors.AccessDenied,
    "InvalidLocationConstraint": errors.AccessDenied,
    "InvalidRegion": errors.AccessDenied,
    "ExpiredToken": errors.AccessDenied,
    "InvalidAccessKeyId": errors.AccessDenied,
    "InvalidToken": errors.AccessDenied,
    "RequestTimeTooSkewed": errors.AccessDenied,
    "SignatureDoesNotMatch": errors.AccessDenied,
    "TokenRefreshRequired": errors.AccessDenied,
    "NotImplemented": errors.NotSupported,
    "MethodNotAllowed": errors.NotSupported,
    "BadDigest": errors.Corrupt,
    "InvalidDigest": errors.Corrupt,
    "XAmzContentSHA256Mismatch": errors.Corrupt,
    "RequestTimeout": errors.Unavailable,
    "TemporaryRedirect": errors.Unavailable,
    "XMinioServerNotInitialized": errors.Unavailable,
    "IncompleteBody": errors.Unavailable,
    "SlowDown": errors.Busy,
    "TooManyRequests": errors.Busy,
    "RequestLimitExceeded": errors.Busy,
    "Throttling": errors.Busy,
    "OperationAborted": errors.Busy,
    "QuotaExceeded": errors.NoSpace,
    "StorageFull": errors.NoSpace,
    "XMinioStorageFull": errors.NoSpace,
}
STATUSES: Final[Mapping[int, type[errors.BackendError]]] = {
    301: errors.AccessDenied,
    307: errors.Unavailable,
    308: errors.AccessDenied,
    507: errors.NoSpace,
}
HINTS: Final[Mapping[str, str]] = {
    "ExpiredToken": "the session token is over, a new one is needed",
    "IllegalLocationConstraintException": "set region to the one of the endpoint",
    "InvalidAccessKeyId": "the storage does not know the access key",
    "InvalidLocationConstraint": "set region to the one of the endpoint",
    "InvalidObjectState": "the object is archived, it has to be restored in the storage first",
    "MetadataTooLarge": "S3 takes 2 KB of metadata, of which this gateway needs some 300 bytes",
    "NotImplemented": "docs/storages.md says which settings spare the endpoint what it lacks",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "SignatureDoesNotMatch": "check secret_key, and what a proxy changes on the way",
}
EXPECTED: Final = re.compile(r"expecting ['\"]([A-Za-z0-9-]+)['\"]")
SHOWN: Final = 300
STORAGE_FAILED: Final = 500
NETWORK: Final = (
    vendor.HTTPClientError,
    vendor.ConnectionError,
    vendor.EndpointConnectionError,
    vendor.MetadataRetrievalError,
    vendor.IncompleteReadError,
    OSError,
)
INVALID: Final = (
    vendor.ValidationError,
    vendor.ParamValidationError,
    vendor.BaseEndpointResolverError,
    vendor.EndpointProviderError,
    ValueError,
)


class Told(NamedTuple):
    """What the document of an error says; the region and the endpoint are the right ones."""

    code: str = ""
    message: str = ""
    region: str = ""
    endpoint: str = ""


def error_of(status: int, told: Told, subject: str, *, region: str = "") -> errors.BackendError:
    """Our error for an answer; the code says more than the status, which says more than nothing.

    `region` is the one that the request was signed for.
    """
    kind = CODES.get(told.code) or STATUSES.get(status) or kind_of(status)
    text = f"{subject}: the storage answered {status} {told.code} {told.message[:SHOWN]}".rstrip()
    hint = _hint(told, region)
    return kind(f"{text} ({hint})" if hint else text)


def failed_call(error: Exception, subject: str) -> errors.BackendError:
    """Our error for a call of botocore's that no endpoint answered with an error."""
    if isinstance(error, NETWORK):
        return errors.Unavailable(f"{subject}: {error}")
    kind = errors.Refused if isinstance(error, INVALID) else errors.AccessDenied
    return kind(f"{subject}: {' '.join(str(error).split())[:SHOWN]}")


def parse_error(body: bytes) -> Told:
    """What an error document tells; nothing for a body that is none."""
    root, fields = _document(body)
    return told_of(fields if root == "Error" else {})


def parse_answer(body: bytes, name: str, subject: str) -> str:
    """One element of the document that says how it went.

    S3 begins to answer a long copy before it is done: the document may be that of an error, and
    is then one of the storage's own.
    """
    root, fields = _document(body)
    if root == "Error":
        raise error_of(STORAGE_FAILED, told_of(fields), subject)
    if not isinstance(fields.get(name), str):
        raise errors.Unavailable(f"{subject}: the storage's answer has no {name}")
    return str(fields[name])


def _document(body: bytes) -> tuple[str, dict[str, Any]]:
    """Name and elements of a document; empty where the body is none."""
    try:
        [(root, fields)] = xmltodict.parse(body).items()
    except ExpatError:
        return "", {}
    return root, fields if isinstance(fields, dict) else {}


def told_of(fields: Mapping[str, Any]) -> Told:
    """What the elements of an error document tell."""
    code, message, region, endpoint = (
        str(fields.get(name) or "") for name in ("Code", "Message", "Region", "Endpoint")
    )
    if not region and (found := EXPECTED.search(message)):
        region = found[1]
    return Told(code, message, region, endpoint)


def _hint(told: Told, region: str) -> str:
    """What to do about it, where that is known."""
    if told.region not in {"", region}:
        return f"set region to {told.region}"
    if told.endpoint:
        return f"the bucket is at another endpoint, {told.endpoint}: set endpoint and region to its"
    return HINTS.get(told.code, "")
