"""A window over an outbox: which event may be handed out now, and how far all are done."""

from collections import deque
from heapq import heappop, heappush
from typing import NamedTuple

from backends.model import Event


class Numbered(NamedTuple):
    """An event and its place in the outbox."""

    sequence: int
    event: Event

    @property
    def place(self) -> tuple[str, str]:
        """The object it is about: events of one place are handed out one after the other."""
        return self.event.bucket, self.event.key


class Window:
    """Up to `size` events that follow the cursor, acknowledged or not. No I/O, no clock.

    Of each object one event at a time is ready, out, or waiting for its retry; those behind it
    wait for its acknowledgement.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._ahead: deque[int] = deque()
        self._done: set[int] = set()
        self._objects: dict[tuple[str, str], deque[Numbered]] = {}
        self._ready: deque[Numbered] = deque()
        self._retries: list[tuple[float, Numbered]] = []
        self.newest = 0
        self.cursor = 0

    @property
    def room(self) -> int:
        """How many more events it takes."""
        return self._size - len(self._ahead)

    def add(self, numbered: Numbered) -> None:
        """Append an event; its number is above all before it."""
        self.reserve(numbered.sequence)
        events = self._objects.setdefault(numbered.place, deque())
        events.append(numbered)
        if len(events) == 1:
            self._ready.append(numbered)

    def reserve(self, sequence: int) -> None:
        """Append a number without an event; the cursor waits for it to be settled."""
        self._ahead.append(sequence)
        self.newest = sequence

    def settle(self, sequence: int) -> None:
        """What was reserved is done; the cursor may move."""
        self._done.add(sequence)
        self._advance()

    def take(self, now: float) -> Numbered | None:
        """The event that may go out the longest, or None; so a retry stands behind the others."""
        while self._retries and self._retries[0][0] <= now:
            self._ready.append(heappop(self._retries)[1])
        return self._ready.popleft() if self._ready else None

    def retry(self, numbered: Numbered, due: float) -> None:
        """Hold back what was taken until the clock says `due`."""
        heappush(self._retries, (due, numbered))

    def acknowledge(self, numbered: Numbered) -> None:
        """What was taken is done; the next event of its object is ready, the cursor may move."""
        events = self._objects[numbered.place]
        events.popleft()
        if events:
            self._ready.append(events[0])
        else:
            del self._objects[numbered.place]
        self.settle(numbered.sequence)

    def next_retry(self) -> float | None:
        """When the first retry is due; None where none waits."""
        return self._retries[0][0] if self._retries else None

    def _advance(self) -> None:
        """Move the cursor to the last event before the first that is not done."""
        while self._ahead and self._ahead[0] in self._done:
            self.cursor = self._ahead.popleft()
            self._done.remove(self.cursor)
