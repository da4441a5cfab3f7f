"""Up to when each other site is known to have all that was deleted here.

A comparison that found two sites alike proves it of all that was here when it began, whoever made
it. Where there are but two sites, and never were more, each hears of every change from the one that
made it, and what the embedded log has delivered in order is a proof, too, unless rules kept a
delete back since the last comparison.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from backends.clock import milliseconds
from backends.state.protocol import StateStore
from replication.backfill import progress
from replication.documents import OWN, SHARED, Documents, value_at
from replication.parked import Parking
from replication.topology import SiteState, group_of, topology_in

CONFIRMED: Final = "confirmed/"
KEPT_BACK: Final = "kept-back/"
TRUSTED: Final = 60_000
MARGIN: Final = 1_000
PAIR: Final = 2


class Confirmed(Struct, frozen=True):
    """A site has all that was deleted here up to then, in milliseconds."""

    upto: int


async def confirm(own: Documents, site: str, upto: int) -> None:
    """Write down that a site was found alike in a comparison that began then."""
    known = await value_at(own, CONFIRMED + site, Confirmed, Confirmed(0))
    await own.put(CONFIRMED + site, Confirmed(max(upto, known.upto)))


class KeptBack:
    """Writes down when a delete was not sent to a site, because no rule sends it there."""

    def __init__(self, own: Documents) -> None:
        self._own = own
        self._upto: dict[str, int] = {}

    async def tell(self, site: str) -> None:
        """One was kept back just now. What is written covers a while, so that it is seldom."""
        now = milliseconds()
        if now >= self._upto.get(site, 0):
            await self._own.put(KEPT_BACK + site, Confirmed(now + TRUSTED))
            self._upto[site] = now + TRUSTED


class Confirmations:
    """Asks what this site, `home`, has written down. `clock` ms may clocks of sites be apart.

    `in_order`: whether the log delivers to each site in order, and says how far it has come.
    """

    def __init__(self, state: StateStore, home: str, *, clock: int, in_order: bool) -> None:
        self._state = state
        self._home = home
        self._clock = clock
        self._in_order = in_order
        self._shared = Documents(state, SHARED)
        self._own = Documents(state, OWN)
        self._parking = Parking(self._own)

    async def by_site(self) -> Mapping[str, int]:
        """The time of each other site that was not removed, in milliseconds; 0 is never."""
        topology = await topology_in(self._shared)
        hears = self._in_order and len(topology.sites) <= PAIR
        return {
            site.name: await self._confirmed(site.name, hears=hears)
            for site in topology.sites.values()
            if site.name != self._home and site.state is not SiteState.REMOVED
        }

    async def _confirmed(self, site: str, *, hears: bool) -> int:
        compared = await self._compared(site)
        kept_back = await value_at(self._own, KEPT_BACK + site, Confirmed, Confirmed(0))
        if not hears or kept_back.upto > compared:
            return compared
        return max(compared, await self._heard(site))

    async def _compared(self, site: str) -> int:
        known = await value_at(self._own, CONFIRMED + site, Confirmed, Confirmed(0))
        return max(0, known.upto - self._clock)

    async def _heard(self, site: str) -> int:
        """Up to when it took all changes that were made here, none of them given up."""
        now = milliseconds()
        group = group_of(site)
        if group not in await self._state.groups():
            return 0
        filled = await progress(self._own, site)
        if filled is None or not filled.done:
            return 0
        unread = [event for _, event in await self._state.unread(group, after=0, limit=1)]
        parked = [letter.event for letter in await self._parking.of(site)]
        return min((event.made - MARGIN for event in unread + parked), default=now)
