"""Who may do what: the one engine every operation asks."""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backends.errors import AccessDenied, NotFound
from backends.model import AccessKey, Bucket
from backends.state.protocol import StateStore

TRUSTED_SECONDS: Final = 1.0
REMEMBERED: Final = 10_000


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
        self._known: dict[str, tuple[float, AccessKey]] = {}

    async def key(self, access_key: str) -> AccessKey:
        """The enabled key of that name, as it was at most a second ago. NotFound."""
        until, key = self._known.get(access_key, (0.0, None))
        now = time.monotonic()
        if key is None or now >= until:
            key = await self._state.key(access_key)
            self._remember(key, now)
        if not key.enabled:
            raise NotFound(f"the access key {access_key} is disabled")
        return key

    def _remember(self, key: AccessKey, now: float) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key.access_key] = (now + TRUSTED_SECONDS, key)

    def require_client(self, caller: Caller) -> None:
        """Return unless the caller is anonymous: AccessDenied."""
        if caller == ANONYMOUS:
            raise AccessDenied("an anonymous caller has no rights here: sign the request")

    def require(self, caller: Caller, right: Right, bucket: Bucket) -> None:
        """Return if the caller has the right on the bucket and what is in it. AccessDenied."""
        self.require_client(caller)
        if bucket.owner != caller.owner:
            raise AccessDenied(f"{caller.owner} has no right to {right} in {bucket.name}")
