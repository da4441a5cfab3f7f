"""A rate of bytes, on a clock that the test sets."""

import pytest

from backends.storage.layers.throttled import Rate


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rate(clock: Clock, bytes_per_second: int) -> Rate:
    return Rate(bytes_per_second, now=clock.now, sleep=clock.sleep)


async def test_a_seconds_worth_passes_at_once(clock: Clock) -> None:
    allowed = rate(clock, 1000)

    await allowed.spend(1000)

    assert clock.seconds == 0.0


@pytest.mark.parametrize("block", [1, 100, 1000, 5000])
async def test_what_is_above_it_takes_its_time(clock: Clock, block: int) -> None:
    allowed = rate(clock, 1000)

    for _ in range(11_000 // block):
        await allowed.spend(block)

    total = 11_000 // block * block
    assert clock.seconds == pytest.approx((total - 1000) / 1000)


async def test_what_was_not_used_is_not_saved_for_longer_than_a_second(clock: Clock) -> None:
    allowed = rate(clock, 1000)
    await allowed.spend(1000)
    clock.seconds += 60

    await allowed.spend(3000)

    assert clock.seconds == pytest.approx(62)


async def test_no_rate_is_no_limit(clock: Clock) -> None:
    await rate(clock, 0).spend(10**12)

    assert clock.seconds == 0.0
