"""Who may do what: the one engine every operation asks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backends.errors import AccessDenied, NotFound
from backends.model import AccessKey, Bucket
from backends.state.protocol import StateStore


class Right(StrEnum):
    """What an operation needs to be allowed to do."""

    CREATE = "CREATE"
    READ = "READ"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    LIST = "LIST"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from; no owner is the anonymous caller."""

    owner: str = ""
    access_key: str = ""


ANONYMOUS: Final = Caller()


class Access:
    """Answers from the clients' keys and the buckets' owners: a bucket is its owner's alone."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    async def key(self, access_key: str) -> AccessKey:
        """The enabled key of that name. NotFound."""
        key = await self._state.key(access_key)
        if not key.enabled:
            raise NotFound(f"the access key {access_key} is disabled")
        return key

    def require_client(self, caller: Caller) -> None:
        """Return unless the caller is anonymous: AccessDenied."""
        if caller == ANONYMOUS:
            raise AccessDenied("an anonymous caller has no rights here: sign the request")

    def require(self, caller: Caller, right: Right, bucket: Bucket) -> None:
        """Return if the caller has the right on the bucket and what is in it. AccessDenied."""
        self.require_client(caller)
        if bucket.owner != caller.owner:
            raise AccessDenied(f"{caller.owner} has no right to {right} in {bucket.name}")
