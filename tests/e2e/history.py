"""What clients did to keys, and what a key may hold after it: a pure judgement.

A write that was answered is done between its start and its end. One that was not answered may
have happened, or may happen later by recovery, but as a write of its own time: one that starts
after the crash is newer.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

ABSENT: Final = ""


@dataclass(frozen=True, slots=True)
class Write:
    """One write: the digest of the body it leaves (ABSENT for a delete), and when it ran."""

    key: str
    outcome: str
    start: float
    end: float
    is_acknowledged: bool


class History:
    """All writes of all clients; safe to add to from threads.

    Of writes that are less than `slack` seconds apart either may be the newer one: sites tell time
    in milliseconds.
    """

    def __init__(self, slack: float = 0.0) -> None:
        self._slack = slack
        self._writes: defaultdict[str, list[Write]] = defaultdict(list)
        self._lock = threading.Lock()
        self.acknowledged = 0
        self.unanswered = 0

    def add(self, write: Write) -> None:
        with self._lock:
            self._writes[write.key].append(write)
            self.acknowledged += write.is_acknowledged
            self.unanswered += not write.is_acknowledged

    def keys(self) -> list[str]:
        return sorted(self._writes)

    def possible(self, key: str) -> set[str]:
        """The outcomes the key may have while nobody writes."""
        return possible(self._writes[key], self._slack)


def possible(writes: list[Write], slack: float = 0.0) -> set[str]:
    """Outcomes of writes that no acknowledged write came wholly after."""
    newest = max((write.start for write in writes if write.is_acknowledged), default=float("-inf"))
    outcomes = {write.outcome for write in writes if write.end + slack >= newest}
    return outcomes if newest > float("-inf") else outcomes | {ABSENT}
