from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.events.window import Numbered, Window
from backends.model import Event, Version


def numbered(sequence: int, key: str = "cat") -> Numbered:
    return Numbered(sequence, Event("ObjectCreated:Put", "photos", key, Version(sequence, "here")))


def window(*keys: str, size: int = 100) -> Window:
    """A window that holds an event of each key, numbered from 1."""
    made = Window(size)
    for sequence, key in enumerate(keys, start=1):
        made.add(numbered(sequence, key))
    return made


def take(of: Window, now: float = 0) -> Numbered:
    taken = of.take(now)
    assert taken is not None
    return taken


def test_an_empty_window_has_nothing_to_hand_out() -> None:
    empty = Window(3)

    assert empty.take(0) is None
    assert empty.next_retry() is None
    assert (empty.cursor, empty.newest, empty.room) == (0, 0, 3)


def test_the_cursor_moves_only_over_what_is_done_from_the_front() -> None:
    three = window("a", "b", "c")
    first, second, third = take(three), take(three), take(three)

    cursors = []
    for one in (third, first, second):
        three.acknowledge(one)
        cursors.append(three.cursor)

    assert cursors == [0, 1, 3]


def test_numbers_may_have_gaps() -> None:
    made = Window(10)
    for sequence in (5, 9):
        made.add(numbered(sequence, str(sequence)))

    made.acknowledge(take(made))

    assert (made.cursor, made.newest) == (5, 9)


def test_room_comes_back_only_as_the_cursor_moves() -> None:
    full = window("a", "b", size=2)
    first, second = take(full), take(full)
    assert full.room == 0

    full.acknowledge(second)
    assert full.room == 0
    full.acknowledge(first)
    assert full.room == 2


def test_a_retry_is_not_handed_out_before_it_is_due() -> None:
    two = window("cat", "cat")
    first = take(two)
    two.retry(first, due=10)

    assert two.next_retry() == 10
    assert two.take(9.9) is None
    assert two.take(10) == first
    assert two.next_retry() is None


def test_buckets_with_the_same_key_do_not_wait_for_each_other() -> None:
    two = window("cat")
    other = Numbered(2, Event("ObjectCreated:Put", "films", "cat", Version(2, "here")))
    two.add(other)

    assert [take(two).sequence, take(two).sequence] == [1, 2]


@given(
    keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=20),
    size=st.integers(1, 20),
    data=st.data(),
)
def test_everything_is_done_once_and_each_object_in_order(
    keys: list[str], size: int, data: st.DataObject
) -> None:
    waiting = [numbered(sequence, key) for sequence, key in enumerate(keys, start=1)]
    moving, out, now = Window(size), [], 0.0
    done: dict[str, list[int]] = defaultdict(list)
    while moving.cursor < len(keys):
        while waiting and moving.room:
            moving.add(waiting.pop(0))
        while (taken := moving.take(now)) is not None:
            out.append(taken)
        assert len({one.place for one in out}) == len(out)
        assert len(out) <= size
        now += 1
        if not out:
            assert moving.next_retry() is not None
            continue
        one = out.pop(data.draw(st.integers(0, len(out) - 1)))
        if data.draw(st.booleans()):
            moving.retry(one, now + data.draw(st.integers(0, 3)))
            continue
        moving.acknowledge(one)
        done[one.event.key].append(one.sequence)

    assert sum(map(len, done.values())) == len(keys)
    assert all(numbers == sorted(numbers) for numbers in done.values())


@pytest.mark.parametrize("size", [1, 2])
def test_look_ahead_is_bounded_by_the_size(size: int) -> None:
    assert window(*"ab"[:size], size=size).room == 0


def test_the_cursor_waits_for_a_number_that_is_reserved() -> None:
    made = window("a")
    made.reserve(2)
    made.add(numbered(3, "b"))
    for _ in range(2):
        made.acknowledge(take(made))
    assert (made.cursor, made.room) == (1, 98)

    made.settle(2)

    assert (made.cursor, made.newest, made.room) == (3, 3, 100)
