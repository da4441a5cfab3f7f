"""Changes that a site did not take, however often sent: kept until an operator decides."""

from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from backends.clock import milliseconds
from backends.model import Event
from replication.documents import Documents

PARKED: Final = "parked/"
LONGEST: Final = 900


class Parked(Struct, frozen=True):
    """A change that was given up, why, and after how many attempts. `since` is in milliseconds."""

    event: Event
    reason: str
    attempts: int
    since: int


class Parking:
    """The dead letters of all sites; of each object and site there is one at the most."""

    def __init__(self, own: Documents) -> None:
        self._own = own

    async def park(self, site: str, event: Event, reason: str, attempts: int) -> None:
        """Keep it aside."""
        value = Parked(event, reason, attempts, milliseconds())
        await self._own.put(_name(site, event.bucket, event.key), value)

    async def of(self, site: str) -> list[Parked]:
        """Those of a site, by object."""
        return await self._own.values(_prefix(site), Parked)

    async def holds(self, site: str, bucket: str, key: str) -> bool:
        """Whether a change of the object was given up."""
        return await self._own.has(_name(site, bucket, key))

    async def settle(self, site: str, bucket: str, key: str) -> bool:
        """Forget the one of an object: it has arrived, or is dropped; whether there was one."""
        return await self._own.drop(_name(site, bucket, key))


def _prefix(site: str) -> str:
    return f"{PARKED}{site}/"


def _name(site: str, bucket: str, key: str) -> str:
    """Short enough for a key whatever the object's own length is."""
    text = f"{quote(bucket)}/{quote(key, safe='')}"
    if len(text) > LONGEST:
        text = f"{quote(bucket)}/{blake2b(key.encode(), digest_size=16).hexdigest()}"
    return _prefix(site) + text
