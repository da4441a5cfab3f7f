"""The hybrid logical clock behind every version."""

import time
from collections.abc import Callable

from backends.model import COUNTER_BITS


def milliseconds() -> int:
    """The wall clock, in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class Clock:
    """Stamps that never go back, even where the wall clock does (Kulkarni et al., 2014)."""

    def __init__(self, now: Callable[[], int] = milliseconds) -> None:
        self._now = now
        self._last = 0

    def stamp(self, *, after: int = 0) -> int:
        """A stamp above `after` and above every stamp this clock gave before."""
        self._last = max(self._now() << COUNTER_BITS, self._last + 1, after + 1)
        return self._last
