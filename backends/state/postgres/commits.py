"""Objects in PostgreSQL as they are written: rows, tombstones, and their events."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from asyncpg import Record

from backends.fingerprint import fingerprint_of
from backends.model import UNCONDITIONAL, Event, Intent, Precondition, Row, Version
from backends.state.postgres.connections import Connections
from backends.state.postgres.expiries import ExpiryTable
from backends.state.postgres.locks import Locks
from backends.state.postgres.records import ENCODER, NO_CHECKSUM, columns, row_of
from backends.state.postgres.relocations import RelocationTable
from backends.state.postgres.writing import DONE, locks_of, require_done
from backends.state.protocol import Committed

SETTLE: Final = f"SELECT * FROM settle({', '.join(f'${number}' for number in range(1, 28))})"
BURY: Final = f"SELECT * FROM bury({', '.join(f'${number}' for number in range(1, 16))})"
NOT_YET: Final = Version(0, "")


class Settled(NamedTuple):
    """What `settle` takes, in its order."""

    bucket: bytes
    key: bytes
    stamp: int
    site: str
    size: int
    etag: str
    owner: str
    storage_class: str
    algorithm: str
    kind: str
    locator: str
    facts: bytes
    deleted: bool
    event: bytes | None
    old_stamp: int | None
    old_site: str | None
    old_ends: int | None
    match: str
    none_match: str
    upload: bytes | None
    overwrote: bool
    fingerprint: int


class Buried(NamedTuple):
    """What `bury` takes, in its order."""

    bucket: bytes
    key: bytes
    stamp: int
    match: str
    none_match: str
    old_stamp: int | None
    old_site: str | None
    old_ends: int | None
    event: bytes


class CommitTable(RelocationTable, ExpiryTable):
    """The verbs of the protocol that write objects."""

    def __init__(
        self, connections: Connections, locks: Locks, site: str, now: Callable[[], int]
    ) -> None:
        super().__init__(connections, locks, site, now)
        self._settling = self._lane(self._settle)
        self._burying = self._lane(self._bury)

    async def commit(
        self,
        row: Row,
        event: Event | None,
        *,
        intent: Intent | None = None,
        condition: Precondition = UNCONDITIONAL,
        upload: str = "",
        overwrote: bool = False,
    ) -> Committed:
        if intent and intent.again:
            return await self._relocate(row, intent, overwrote=overwrote)
        await self._expect(row)
        settled = Settled(
            *_written(row),
            ENCODER.encode(event) if event else None,
            *_place_of(intent),
            condition.match,
            condition.none_match,
            upload.encode() or None,
            overwrote,
            fingerprint_of(row),
        )
        outcome, locator, facts = await self._settling.ask(settled)
        require_done(outcome, row.bucket, row.key, condition=condition, facts=facts, intent=intent)
        replaced = _live(row.bucket, row.key, locator, facts) if outcome == DONE else None
        return Committed(won=outcome != "older", replaced=replaced)

    async def bury(
        self,
        bucket: str,
        key: str,
        event_name: str,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
        intent: Intent | None = None,
    ) -> Row | None:
        event = Event(event_name, bucket, key, NOT_YET, operation=operation)
        buried = Buried(
            bucket.encode(),
            key.encode(),
            self._clock.stamp(),
            condition.match,
            condition.none_match,
            *_place_of(intent),
            ENCODER.encode(event),
        )
        outcome, locator, facts, stamp = await self._burying.ask(buried)
        require_done(outcome, bucket, key, condition=condition, facts=facts, intent=intent)
        if outcome != DONE:
            return None
        self._clock.stamp(after=stamp)
        return row_of(bucket, key, locator, facts)

    async def _settle(self, rows: Sequence[Settled]) -> Sequence[Record]:
        buckets, keys, *rest = columns(rows)
        return await self._connections.batch(
            SETTLE,
            *locks_of(self._locks, buckets, keys),
            self._locks.subscriptions,
            self._locks.outbox,
            self._now(),
            buckets,
            keys,
            *rest,
        )

    async def _bury(self, rows: Sequence[Buried]) -> Sequence[Record]:
        buckets, keys, *rest = columns(rows)
        return await self._connections.batch(
            BURY,
            *locks_of(self._locks, buckets, keys),
            self._locks.subscriptions,
            self._locks.outbox,
            self._now(),
            self._site,
            buckets,
            keys,
            *rest,
        )


def _written(
    row: Row,
) -> tuple[bytes, bytes, int, str, int, str, str, str, str, str, str, bytes, bool]:
    """What a row is in the columns of its table."""
    facts = row.facts
    checksum = facts.checksum or NO_CHECKSUM
    return (
        row.bucket.encode(),
        row.key.encode(),
        facts.version.stamp,
        facts.version.site,
        facts.size,
        facts.etag,
        facts.owner,
        facts.storage_class,
        checksum.algorithm,
        checksum.kind.value if checksum.algorithm else "",
        row.locator,
        ENCODER.encode(facts),
        row.deleted,
    )


def _place_of(intent: Intent | None) -> tuple[int | None, str | None, int | None]:
    if intent is None:
        return None, None, None
    return intent.version.stamp, intent.version.site, intent.expires


def _live(bucket: str, key: str, locator: str | None, facts: bytes | None) -> Row | None:
    if locator is None or facts is None:
        return None
    return row_of(bucket, key, locator, facts)
