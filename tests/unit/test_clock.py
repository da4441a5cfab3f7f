from hypothesis import given
from hypothesis import strategies as st

from backends.clock import Clock, milliseconds
from backends.model import COUNTER_BITS

NOON = 1_700_000_000_000


def test_a_stamp_is_the_wall_clock_above_a_counter() -> None:
    clock = Clock(lambda: NOON)

    assert [clock.stamp() - (NOON << COUNTER_BITS) for _ in range(3)] == [0, 1, 2]


def test_a_counter_that_overflows_runs_into_the_next_millisecond() -> None:
    clock = Clock(lambda: NOON)

    stamps = [clock.stamp() for _ in range(2**COUNTER_BITS + 1)]

    assert stamps[-1] == (NOON + 1) << COUNTER_BITS


def test_a_stamp_is_above_the_one_named() -> None:
    clock = Clock(lambda: NOON)

    assert clock.stamp(after=2**62) == 2**62 + 1
    assert clock.stamp() == 2**62 + 2


@given(
    readings=st.lists(st.tuples(st.integers(0, 2**47), st.integers(0, 2**62)), min_size=1),
)
def test_stamps_rise_whatever_the_wall_clock_does(readings: list[tuple[int, int]]) -> None:
    wall = iter([now for now, _ in readings])
    clock = Clock(lambda: next(wall))

    stamps = [clock.stamp(after=after) for _, after in readings]

    assert stamps == sorted(set(stamps))
    assert all(
        stamp > after and stamp >> COUNTER_BITS >= now
        for stamp, (now, after) in zip(stamps, readings, strict=True)
    )


def test_the_wall_clock_counts_milliseconds_since_1970() -> None:
    year_2020, year_2200 = 1_577_836_800_000, 7_258_118_400_000

    assert year_2020 < milliseconds() < year_2200
