"""Whether buckets are in sync with other sites, as the last comparison found."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from replication.confirmed import confirm
from replication.documents import Documents

IN_SYNC: Final = "in-sync/"


class BucketStanding(Struct, frozen=True):
    """`differences` keys were not alike at that time, in milliseconds; 0: in sync then."""

    site: str
    bucket: str
    verified: int
    differences: int


class Standings:
    """The last word on each bucket and site; kept in this site's own documents."""

    def __init__(self, own: Documents) -> None:
        self._own = own

    async def tell(
        self, bucket: str, sites: Sequence[str], unlike: Mapping[str, int], verified: int
    ) -> None:
        """The bucket was compared with these sites; `unlike` has those that differ."""
        for site in sites:
            standing = BucketStanding(site, bucket, verified, unlike.get(site, 0))
            await self._own.put(f"{IN_SYNC}{site}/{bucket}", standing)

    async def alike(self, sites: Sequence[str], verified: int) -> None:
        """All that these sites and this one share was alike at that time, deletes among it."""
        for site in sites:
            await confirm(self._own, site, verified)

    async def known(self, site: str = "") -> list[BucketStanding]:
        """All, by site and bucket; or those of one site."""
        return await self._own.values(f"{IN_SYNC}{site}/" if site else IN_SYNC, BucketStanding)
