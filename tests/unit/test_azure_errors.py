"""Each answer of Azure's is one of our errors."""

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from backends import errors
from backends.storage.azure.errors import translated


class Answered(HttpResponseError):
    """An error as the client raises it: with the status and the code of the answer."""

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(message=f"{code}\nRequestId:1")
        self.status_code = status
        self.error_code = code


@pytest.mark.parametrize(
    ("vendors", "ours"),
    [
        (Answered(404, "BlobNotFound"), errors.NotFound),
        (Answered(404, "ContainerNotFound"), errors.BucketNotFound),
        (Answered(404), errors.NotFound),
        (Answered(409, "ContainerBeingDeleted"), errors.Busy),
        (Answered(409, "BlobAlreadyExists"), errors.PreconditionFailed),
        (Answered(412, "ConditionNotMet"), errors.PreconditionFailed),
        (Answered(412), errors.PreconditionFailed),
        (Answered(412, "LeaseIdMissing"), errors.Busy),
        (Answered(403, "CannotVerifyCopySource"), errors.AccessDenied),
        (Answered(404, "CannotVerifyCopySource"), errors.NotFound),
        (Answered(403, "AuthenticationFailed"), errors.AccessDenied),
        (Answered(400, "InvalidAuthenticationInfo"), errors.AccessDenied),
        (Answered(401), errors.AccessDenied),
        (Answered(429), errors.Busy),
        (Answered(503, "ServerBusy"), errors.Busy),
        (Answered(500, "OperationTimedOut"), errors.Unavailable),
        (Answered(500, "InternalError"), errors.Unavailable),
        (Answered(502), errors.Unavailable),
        (Answered(400, "Md5Mismatch"), errors.Corrupt),
        (Answered(400, "InvalidBlockList"), errors.InvalidPart),
        (Answered(400, "InvalidHeaderValue"), errors.Refused),
        (Answered(501), errors.NotSupported),
        (ClientAuthenticationError("expired"), errors.AccessDenied),
        (ServiceRequestError("no route"), errors.Unavailable),
        (ServiceResponseError("cut"), errors.Unavailable),
        (ConnectionResetError("cut"), errors.Unavailable),
        (TimeoutError("late"), errors.Unavailable),
    ],
)
def test_an_answer_is_an_error_of_ours(vendors: Exception, ours: type[errors.BackendError]) -> None:
    with pytest.raises(errors.BackendError, match="photos/cat") as raised, translated("photos/cat"):
        raise vendors

    assert type(raised.value) is ours
    assert raised.value.__cause__ is vendors
