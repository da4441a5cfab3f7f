"""Counting what one process sends to one site."""

import time
from typing import Final

from backends.clock import milliseconds
from backends.model import Event
from replication.figures import Figures
from replication.push import Sent

RATE_SECONDS: Final = 30.0


class Counter:
    """Counts what one process sends to one site."""

    def __init__(self) -> None:
        self._done = self._bytes = self._stale = self._failures = self._parked = 0
        self._last_success = 0
        self._last_error = ""
        self._in_flight: dict[int, Event] = {}
        self._recent: list[tuple[float, int]] = []

    def begin(self, event: Event) -> None:
        """An event is being handled."""
        self._in_flight[id(event)] = event

    def end(self, event: Event) -> None:
        """It is handled, one way or the other, or handed back."""
        self._in_flight.pop(id(event), None)

    def sent(self, sent: Sent) -> None:
        """A change has arrived, or was not sent because a later one will be."""
        self._stale += sent.stale
        self._last_error = ""
        self._last_success = milliseconds()
        if not sent.stale:
            self._done += 1
            self._bytes += sent.size
            self._recent.append((time.monotonic(), sent.size))

    def failed(self, error: BaseException) -> None:
        """A change did not arrive this time."""
        self._failures += 1
        self._last_error = str(error)

    def parked(self) -> None:
        """A change was given up."""
        self._parked += 1

    def waiting(self, error: BaseException) -> None:
        """The site itself does not answer."""
        self._last_error = str(error)

    def figures(self) -> Figures:
        """As they are now."""
        since = time.monotonic() - RATE_SECONDS
        self._recent = [one for one in self._recent if one[0] >= since]
        return Figures(
            done=self._done,
            bytes=self._bytes,
            stale=self._stale,
            failures=self._failures,
            parked=self._parked,
            in_flight=len(self._in_flight),
            oldest=min(map(_made, self._in_flight.values()), default=0),
            last_success=self._last_success,
            last_error=self._last_error,
            objects_per_second=len(self._recent) / RATE_SECONDS,
            bytes_per_second=sum(size for _, size in self._recent) / RATE_SECONDS,
            taken=milliseconds(),
        )


def _made(event: Event) -> int:
    return event.made
