"""What is done about a difference between a state and its storage, and how that went."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from backends.bounded import bounded
from backends.errors import BackendError, NotSupported
from backends.model import Row
from backends.state.found import Given
from reconcile.jobs.work import Finding
from reconcile.storages.adopting import Terms, take_one
from reconcile.storages.comparing import Difference, Ground, Kind

AT_ONCE: Final = 4
RESTORE: Final = "restore"
MENDED: Final = frozenset({"restored", "adopted", "removed"})


class Restores(Protocol):
    """Gets back what this site lost."""

    async def restore(self, row: Row) -> bool:
        """Store the bytes of the row again, or newer ones; False where no other site has them."""


class Unknown(StrEnum):
    """What is to be done about bytes that no row names."""

    REPORT = "report"
    ADOPT = "adopt"
    REMOVE = "remove"


class Remedies(NamedTuple):
    """How differences of a bucket are mended: `restores` is None where there are no other sites.

    `begun` is when the job was ordered, in milliseconds.
    """

    restores: Restores | None
    unknown: Unknown
    owner: str
    begun: int
    dry_run: bool

    async def of(self, ground: Ground, found: Sequence[Difference]) -> tuple[Finding, ...]:
        """Do it, or say what would be done."""
        return tuple(await bounded(partial(self._one, ground), found, at_once=AT_ONCE))

    async def _one(self, ground: Ground, one: Difference) -> Finding:
        action = self._action(one)
        finding = _finding(ground.bucket, one, action)
        if self.dry_run or not action:
            return finding
        try:
            result = await self._done(ground, one, action)
        except BackendError as error:
            return _ended(finding, "failed", str(error))
        return _ended(finding, result, one.detail)

    def _action(self, one: Difference) -> str:
        """What is to be done; "" where nothing can be, or is not asked for."""
        if one.kind is Kind.UNREADABLE:
            return ""
        if one.kind is not Kind.UNKNOWN:
            return RESTORE if self.restores else ""
        if self.unknown is Unknown.REMOVE and not is_left_over(one):
            return ""
        return "" if self.unknown is Unknown.REPORT else self.unknown.value

    async def _done(self, ground: Ground, one: Difference, action: str) -> str:
        if action == RESTORE:
            return await self._restored(one)
        if action == Unknown.ADOPT:
            return await self._adopted(ground, one)
        return await _removed(ground, one)

    async def _restored(self, one: Difference) -> str:
        if self.restores is None or one.row is None:
            raise NotSupported("there are no other sites")
        return "restored" if await self.restores.restore(one.row) else "not elsewhere"

    async def _adopted(self, ground: Ground, one: Difference) -> str:
        if one.stored is None:
            raise NotSupported("there are no bytes to adopt")
        terms = Terms(Given(self.owner), self.begun)
        state, store, bucket, _ = ground
        row = await take_one(state, store, bucket, one.stored, terms, asked=one.seen)
        return "adopted" if row else "older than what the state knows"


def is_left_over(one: Difference) -> bool:
    """Whether a gateway wrote the bytes, and the key's newest row is of a later version."""
    if one.row is None or one.stored is None or not one.stored.ours:
        return False
    return one.stored.facts.version < one.row.version


async def _removed(ground: Ground, one: Difference) -> str:
    if one.stored is None:
        raise NotSupported("there are no bytes to remove")
    await ground.store.delete(ground.bucket, one.key, one.stored.locator)
    return "removed"


def _finding(bucket: str, one: Difference, action: str) -> Finding:
    size = one.stored.size if one.stored else 0
    return Finding(
        one.kind,
        bucket,
        one.key,
        action=action,
        detail=one.detail,
        size=one.row.facts.size if one.row and not one.row.deleted else size,
        here=str(one.row.version) if one.row else "",
        there=one.stored.locator if one.stored else "",
    )


def _ended(finding: Finding, result: str, detail: str) -> Finding:
    return replace(finding, result=result, detail=detail)
