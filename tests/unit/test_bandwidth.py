"""Limits between sites: which one holds, who shares it, and that whatever moves gets on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from backends.storage.layers.throttled import Rate
from replication.bandwidth import LEAST_OF_A_BODY, Bandwidth, Direction, Limit, Pace, rate_at

MIB = 1024 * 1024
PLAIN = Limit(Direction.OUT, 100)
DAY = Limit(Direction.OUT, 10, "08:00", "18:00")
NIGHT = Limit(Direction.OUT, 0, "22:00", "06:00")
INWARD = Limit(Direction.IN, 7)
LIMITS = (PLAIN, DAY, NIGHT, INWARD)
HOUR = 3_600_000


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


async def blocks_of(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield bytes(size)


@pytest.mark.parametrize(
    ("clock", "rate"),
    [
        ("07:59", 100),
        ("08:00", 10),
        ("17:59", 10),
        ("18:00", 100),
        ("21:59", 100),
        ("22:00", 0),
        ("23:59", 0),
        ("00:00", 0),
        ("05:59", 0),
        ("06:00", 100),
    ],
)
def test_a_window_holds_from_its_first_minute_to_the_one_before_its_last(
    clock: str, rate: int
) -> None:
    assert rate_at(LIMITS, Direction.OUT, clock) == rate
    assert rate_at(LIMITS, Direction.IN, clock) == 7


def test_without_a_limit_of_the_direction_there_is_none() -> None:
    assert rate_at((DAY,), Direction.OUT, "07:00") == 0
    assert rate_at((INWARD,), Direction.OUT, "07:00") == 0


def test_of_two_windows_that_overlap_the_first_counts() -> None:
    later = Limit(Direction.OUT, 50, "09:00", "10:00")

    assert rate_at((DAY, later), Direction.OUT, "09:30") == 10
    assert rate_at((later, DAY), Direction.OUT, "09:30") == 50


def test_processes_share_a_limit_and_each_keeps_what_a_body_needs() -> None:
    bandwidth = Bandwidth(now=lambda: 9 * HOUR)
    limit = Limit(Direction.OUT, 4 * MIB, "08:00", "18:00")

    bandwidth.follow({"west": (limit,)}, {"west": {Direction.OUT: 4, Direction.IN: 2}})
    shared = bandwidth.rate("west", Direction.OUT)
    bandwidth.follow({"west": (limit,)}, {"west": {Direction.OUT: 1000}})

    assert shared == MIB
    assert bandwidth.rate("west", Direction.OUT) == LEAST_OF_A_BODY
    assert bandwidth.rate("west", Direction.IN) == bandwidth.rate("north", Direction.OUT) == 0


def test_a_window_that_opens_is_in_force_at_once() -> None:
    now = [8 * HOUR - 1]
    bandwidth = Bandwidth(now=lambda: now[0])
    bandwidth.follow({"west": (Limit(Direction.IN, MIB, "08:00", "18:00"),)}, {})

    before = bandwidth.rate("west", Direction.IN)
    now[0] += 1

    assert (before, bandwidth.rate("west", Direction.IN)) == (0, MIB)


async def test_bytes_pass_unchanged_and_take_their_time() -> None:
    clock = Clock()
    pace = Pace(lambda: MIB, Rate(0, now=clock.now, sleep=clock.sleep))

    passed = [piece async for piece in pace.slowed(blocks_of(5 * MIB, 1, 0, MIB))]

    assert sum(map(len, passed)) == 6 * MIB + 1
    assert clock.seconds == pytest.approx(5.0, rel=0.01)


async def test_without_a_limit_blocks_pass_whole() -> None:
    pace = Pace(lambda: 0)

    assert [len(piece) async for piece in pace.slowed(blocks_of(5 * MIB, 1))] == [5 * MIB, 1]


async def test_a_limit_that_changes_changes_bodies_under_way() -> None:
    clock = Clock()
    rate = [64 * 1024]
    pace = Pace(lambda: rate[0], Rate(0, now=clock.now, sleep=clock.sleep))

    body = pace.slowed(blocks_of(100 * MIB))
    async for _ in body:
        if clock.seconds >= 2.0:
            rate[0] = 50 * MIB
            break
    async for _ in body:
        pass

    assert 3.0 < clock.seconds < 5.0


@pytest.mark.parametrize(("rate", "at_once"), [(1, 1), (64 * 1024, 2), (MIB, 20), (0, 20)])
async def test_only_so_many_bodies_move_that_each_gets_on(rate: int, at_once: int) -> None:
    pace = Pace(lambda: rate)
    moving = most = 0

    async def move() -> None:
        nonlocal moving, most
        async with pace.body():
            moving += 1
            most = max(most, moving)
            await asyncio.sleep(0.001)
            moving -= 1

    await asyncio.gather(*(move() for _ in range(20)))

    assert most == at_once


async def test_no_body_is_ahead_of_another_by_more_than_what_was_saved_up() -> None:
    clock = Clock()
    pace = Pace(lambda: 8 * LEAST_OF_A_BODY, Rate(0, now=clock.now, sleep=clock.sleep))
    passed = [0] * 8

    async def move(number: int) -> None:
        async with pace.body():
            async for piece in pace.slowed(blocks_of(MIB)):
                passed[number] += len(piece)
                assert max(passed) - min(passed) <= 9 * LEAST_OF_A_BODY

    await asyncio.gather(*map(move, range(8)))

    assert passed == [MIB] * 8


async def test_a_body_that_waits_can_be_cancelled_and_leaves_no_trace() -> None:
    pace = Pace(lambda: 1)
    async with pace.body():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), pace.body():
                pytest.fail("there was no room")

    async with asyncio.timeout(1), pace.body():
        pass
