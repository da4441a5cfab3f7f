import pytest

from backends.errors import BackendError, NotFound, PreconditionFailed
from backends.model import Facts, Precondition, Version
from backends.preconditions import require

CURRENT = Facts(Version(1, "here"), etag="e")


@pytest.mark.parametrize(
    ("condition", "current"),
    [
        (Precondition(), None),
        (Precondition(), CURRENT),
        (Precondition(match="*"), CURRENT),
        (Precondition(match="e"), CURRENT),
        (Precondition(none_match="*"), None),
        (Precondition(none_match="e"), None),
        (Precondition(none_match="other"), CURRENT),
        (Precondition(match="e", none_match="other"), CURRENT),
    ],
)
def test_a_condition_that_holds_lets_the_write_happen(
    condition: Precondition, current: Facts | None
) -> None:
    require(condition, current, "photos/cat")


@pytest.mark.parametrize(
    ("condition", "current", "error"),
    [
        (Precondition(match="*"), None, NotFound),
        (Precondition(match="e"), None, NotFound),
        (Precondition(match="e", none_match="*"), None, NotFound),
        (Precondition(match="other"), CURRENT, PreconditionFailed),
        (Precondition(match="E"), CURRENT, PreconditionFailed),
        (Precondition(none_match="*"), CURRENT, PreconditionFailed),
        (Precondition(none_match="e"), CURRENT, PreconditionFailed),
        (Precondition(match="e", none_match="*"), CURRENT, PreconditionFailed),
    ],
)
def test_a_condition_that_does_not_hold_says_of_what(
    condition: Precondition, current: Facts | None, error: type[BackendError]
) -> None:
    with pytest.raises(error, match="photos/cat"):
        require(condition, current, "photos/cat")
