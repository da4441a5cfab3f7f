"""What every group of verbs stands on: the connections, a clock, the name of the site."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from backends.clock import Clock
from backends.errors import BucketNotFound
from backends.state.postgres.connections import Connections
from backends.state.postgres.lanes import Lane
from backends.state.postgres.locks import Locks

Q = TypeVar("Q")
A = TypeVar("A")
ABREAST: Final = 2


class Tables:
    """`now` answers milliseconds since the Unix epoch."""

    def __init__(
        self, connections: Connections, locks: Locks, site: str, now: Callable[[], int]
    ) -> None:
        self._connections = connections
        self._locks = locks
        self._site = site
        self._now = now
        self._clock = Clock(now)
        self._lanes: list[Lane[Any, Any]] = []

    def _lane(
        self, together: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], abreast: int = ABREAST
    ) -> Lane[Q, A]:
        """Where such questions wait for one another."""
        lane = Lane(together, abreast=abreast)
        self._lanes.append(lane)
        return lane

    async def _require_bucket(self, name: str) -> None:
        """Return if there is such a bucket. BucketNotFound."""
        found = await self._connections.read("SELECT 1 FROM buckets WHERE name = $1", name.encode())
        if not found:
            raise no_bucket(name)


def no_bucket(name: str) -> BucketNotFound:
    return BucketNotFound(f"there is no bucket {name}")
