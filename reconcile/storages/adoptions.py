"""Which keys are being adopted, so that every process sees objects that are not listed yet."""

from typing import Final

from msgspec import Struct

from backends.model import Bucket
from backends.state.found import Given
from backends.state.protocol import StateStore
from reconcile.storages.adopting import Terms
from replication.documents import OWN, Documents, value_at

ADOPTIONS: Final = "adoptions/"
TRUSTED_SECONDS: Final = 1.0  # how long a process may go by what it has read last


class Adoption(Struct, frozen=True, omit_defaults=True):
    """Keys of a bucket that a job takes as it finds them, until it has listed them all.

    `created` is when the bucket was made: of a later one this says nothing. `begun` is when the job
    was ordered. Both are in milliseconds.
    """

    bucket: str
    created: int
    job: str
    begun: int
    given: Given
    prefix: str = ""
    announce: bool = False

    @property
    def terms(self) -> Terms:
        """How objects are taken."""
        return Terms(self.given, self.begun, self.prefix, self.announce)


class Adoptions:
    """Those of a site, kept in its state.

    One holds until a listing of its keys has come to the end, its own or that of another job:
    also when its job was cancelled, has failed or is forgotten. Otherwise a client could overwrite
    what it asked not to, because nobody had listed it.
    """

    def __init__(self, state: StateStore) -> None:
        self._own = Documents(state, OWN)

    async def begin(self, adoption: Adoption) -> None:
        """Write it down; again is no error."""
        name = _name_of(adoption.bucket) + adoption.job
        if await value_at(self._own, name, Adoption, None) != adoption:
            await self._own.put(name, adoption)

    async def of(self, bucket: Bucket) -> list[Adoption]:
        """Those of just that bucket, the latest first."""
        found = await self._own.values(_name_of(bucket.name), Adoption)
        there = [one for one in found if one.created == bucket.created]
        return sorted(there, key=lambda one: one.begun, reverse=True)

    async def end(self, bucket: str, prefix: str) -> None:
        """Everything with that prefix is listed: forget what is about such keys."""
        for one in await self._own.values(_name_of(bucket), Adoption):
            if one.prefix.startswith(prefix):
                await self._own.drop(_name_of(bucket) + one.job)


def _name_of(bucket: str) -> str:
    return f"{ADOPTIONS}{bucket}/"
