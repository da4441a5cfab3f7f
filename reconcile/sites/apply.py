"""Changes, applied: taken from the site that has it, sent to those that lack it.

By the same code as replication, with compare-and-set on versions: a live write always wins.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from backends.errors import BackendError, BucketNotFound
from backends.model import Row, Version
from backends.state.protocol import StateStore
from reconcile.sites.plan import Action, Change, version_of
from replication.client import SiteClient
from replication.parked import Parking
from replication.push import Push
from replication.remote import Remote
from replication.wire import SiteAway


class Result(StrEnum):
    """How an action went. NEWER: something newer came meanwhile, which is as good."""

    APPLIED = "APPLIED"
    NEWER = "NEWER"
    KEPT = "KEPT"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class Here(Protocol):
    """Changes what this site holds."""

    async def take(self, remote: Remote) -> bool:
        """Store what a site has, under its version, verified; False where something newer is here.

        As Replicas.put.
        """

    async def bury(self, bucket: str, key: str, version: Version) -> bool:
        """Delete as of that version; False where something newer is here."""

    async def rewrite(self, row: Row, remote: Remote | None) -> None:
        """Write a key anew, as a client would: what `remote` has of it, or the row's own object.

        PreconditionFailed where the row is not the current one any more.
        """


class Applied(NamedTuple):
    """A change, and how it went."""

    change: Change
    result: Result
    detail: str = ""


DETAILS: Final = {
    Result.SKIPPED: "this site has it not, and cannot pass it on: start a job at one that has",
}
OUTCOMES: Final = {True: Result.APPLIED, False: Result.NEWER}


class Applier:
    """Applies changes at our site, `home`, and at others, each a `client` of its name.

    What arrives is no dead letter any more. SiteAway where one is away.
    """

    def __init__(
        self,
        home: str,
        state: StateStore,
        here: Here,
        push: Push,
        client: Callable[[str], SiteClient],
        parking: Parking,
    ) -> None:
        self._home = home
        self._state = state
        self._here = here
        self._push = push
        self._client = client
        self._parking = parking

    async def apply(self, bucket: str, changes: Sequence[Change]) -> list[Applied]:
        """All changes of one key, which have one winner; ours first: others get it from us."""
        ours_first = sorted(changes, key=lambda change: change.site != self._home)
        return [await self._tried(bucket, change) for change in ours_first]

    async def _tried(self, bucket: str, change: Change) -> Applied:
        if change.action is Action.KEEP:
            return Applied(change, Result.KEPT, "newer than what the source has")
        try:
            result = await self._apply(bucket, change)
            return Applied(change, result, DETAILS.get(result, ""))
        except SiteAway:
            raise
        except BackendError as error:
            return Applied(change, Result.FAILED, str(error) or type(error).__name__)

    async def _apply(self, bucket: str, change: Change) -> Result:
        if change.action is Action.REWRITE:
            return await self._rewrite(bucket, change)
        if change.site == self._home:
            return OUTCOMES[await self._take(bucket, change)]
        row = await self._newest(bucket, change.key)
        if row is None or row.version < version_of(change.best):
            return Result.SKIPPED
        sent = await self._push.row(row, self._client(change.site))
        if not sent.stale:
            await self._parking.settle(change.site, bucket, change.key)
        return OUTCOMES[not sent.stale]

    async def _take(self, bucket: str, change: Change) -> bool:
        version = version_of(change.best)
        if change.action is Action.DELETE:
            return await self._here.bury(bucket, change.key, version)
        remote = await self._there(bucket, change)
        return remote is not None and await self._here.take(remote)

    async def _there(self, bucket: str, change: Change) -> Remote | None:
        """What the winner has, if that is an object still."""
        site = self._client(change.winner)
        found = await site.find(bucket, change.key)
        if found.facts is None or found.deleted:
            return None
        return Remote(bucket, change.key, found.facts, [site])

    async def _rewrite(self, bucket: str, change: Change) -> Result:
        """Replication takes what is written from here to all others."""
        row = await self._newest(bucket, change.key)
        if row is None or row.deleted or row.version != version_of(change.best):
            return Result.NEWER
        remote = None if change.winner == self._home else await self._there(bucket, change)
        await self._here.rewrite(row, remote)
        return Result.APPLIED

    async def _newest(self, bucket: str, key: str) -> Row | None:
        try:
            return await self._state.newest(bucket, key)
        except BucketNotFound:
            return None
