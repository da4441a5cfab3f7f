"""The judge of the crash test is judged itself."""

import pytest

from tests.e2e.history import ABSENT, Write, possible


def write(outcome: str, start: float, end: float, *, answered: bool = True) -> Write:
    return Write("cat", outcome, start, end, answered)


@pytest.mark.parametrize(
    ("writes", "outcomes"),
    [
        ([], {ABSENT}),
        ([write("a", 1, 2)], {"a"}),
        ([write("a", 1, 2), write("b", 3, 4)], {"b"}),
        ([write("a", 1, 4), write("b", 2, 3)], {"a", "b"}),
        ([write("a", 1, 2, answered=False)], {"a", ABSENT}),
        ([write("a", 1, 2), write("b", 3, 4, answered=False)], {"a", "b"}),
        ([write("a", 1, 2, answered=False), write("b", 3, 4)], {"b"}),
        ([write("a", 1, 2), write(ABSENT, 3, 4)], {ABSENT}),
        ([write("a", 1, 5), write("b", 2, 3), write("c", 4, 6)], {"a", "c"}),
    ],
)
def test_what_a_key_may_hold(writes: list[Write], outcomes: set[str]) -> None:
    assert possible(writes) == outcomes
