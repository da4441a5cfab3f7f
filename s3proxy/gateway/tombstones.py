"""Tombstones that may go: older than the retention, and confirmed by every other site."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from backends.clock import milliseconds
from backends.state.protocol import StateStore

log: Final = structlog.get_logger("tombstones")
BATCH: Final = 100
Confirmed = Callable[[], Awaitable[Mapping[str, int]]]


async def nobody() -> Mapping[str, int]:
    """For a site that has no others."""
    return {}


class Tombstones:
    """`confirmed` says of each other site up to when (ms) it has all that was deleted here.

    `keep` is the retention, in milliseconds.
    """

    def __init__(
        self,
        state: StateStore,
        keep: int,
        confirmed: Confirmed = nobody,
        now: Callable[[], int] = milliseconds,
    ) -> None:
        self._state = state
        self._keep = keep
        self._confirmed = confirmed
        self._now = now
        self.purged = 0
        self.held: Mapping[str, int] = {}

    async def purge(self) -> int:
        """Remove those that may go; how many went.

        `held` tells of the sites that keep others back, and since when, in milliseconds.
        """
        now = self._now()
        confirmed = await self._confirmed()
        self._tell({site: upto for site, upto in confirmed.items() if upto < now - self._keep})
        older_than = max([self._keep, *(now - upto for upto in confirmed.values())])
        purged = 0
        while gone := await self._state.purge_tombstones(older_than=older_than, limit=BATCH):
            purged += gone
        self.purged += purged
        return purged

    def _tell(self, held: Mapping[str, int]) -> None:
        """Log who keeps tombstones back, when that changes."""
        for site in held.keys() - self.held.keys():
            log.info("tombstones wait for a site to confirm them", site=site)
        for site in self.held.keys() - held.keys():
            log.info("tombstones wait for a site no more", site=site)
        self.held = held
