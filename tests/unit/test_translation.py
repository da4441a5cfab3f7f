"""What the ground raises is an error of S3's own."""

import pytest

from backends import errors
from s3proxy.s3.translation import to_s3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Superseded("a newer one is here"), "PreconditionFailed"),
        (errors.Busy("later"), "SlowDown"),
        (errors.BackendError("anything"), "InternalError"),
    ],
)
def test_a_neutral_error_has_a_code(error: errors.BackendError, code: str) -> None:
    assert to_s3(error).code == code
