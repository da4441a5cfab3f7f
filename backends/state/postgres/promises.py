"""Promised writes in PostgreSQL: begun, taken again under a new version, held."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from asyncpg import Record
from msgspec.structs import replace

from backends.errors import Unavailable
from backends.model import UNCONDITIONAL, Intent, Precondition, Version
from backends.state.postgres.connections import Connections
from backends.state.postgres.locks import Locks
from backends.state.postgres.records import ENCODER, columns
from backends.state.postgres.relocations import RelocationTable
from backends.state.postgres.replicas import ReplicaTable
from backends.state.postgres.writing import locks_of, require_done

RENEW = (
    "UPDATE intents SET expires = $1 WHERE bucket = $2 AND key = $3 AND stamp = $4 AND site = $5"
    " AND expires = $6 RETURNING 1"
)
NOT_YET = Version(0, "")


class Promise(NamedTuple):
    """What `promise` takes, in its order."""

    bucket: bytes
    key: bytes
    stamp: int
    ends: int
    upload: bytes | None
    match: str
    none_match: str
    alone: bool
    intent: bytes


class PromiseAgain(NamedTuple):
    """What `promise_again` takes, in its order. `turn` asks to be alone from now on."""

    bucket: bytes
    key: bytes
    old_stamp: int
    old_site: str
    old_ends: int
    stamp: int
    ends: int
    match: str
    none_match: str
    turn: bool
    alone: bool
    intent: bytes


class PromiseTable(ReplicaTable, RelocationTable):
    """The verbs of the protocol that promise writes.

    A promise to overwrite bytes in place is durable before it is answered: what it must heal
    outlives a crash of the server. Others, without which bytes are only left over, are not.
    """

    def __init__(
        self, connections: Connections, locks: Locks, site: str, now: Callable[[], int]
    ) -> None:
        super().__init__(connections, locks, site, now)
        self._promising = self._lane(self._promise)
        self._promising_again = self._lane(self._promise_again)

    async def begin(
        self,
        bucket: str,
        key: str,
        *,
        lease: int,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
        alone: bool = False,
        deletes: bool = False,
        version: Version | None = None,
        again: bool = False,
    ) -> Intent:
        intent = Intent(
            bucket,
            key,
            NOT_YET,
            expires=self._now() + lease,
            upload=upload,
            condition=condition,
            alone=alone,
            deletes=deletes,
        )
        if version and again:
            return await self._begin_again(intent, version)
        if version:
            return await self._begin_replica(intent, version)
        promise = Promise(
            bucket.encode(),
            key.encode(),
            self._clock.stamp(),
            intent.expires,
            upload.encode() or None,
            condition.match,
            condition.none_match,
            alone,
            ENCODER.encode(intent),
        )
        outcome, stamp, facts = await self._promising.ask(promise)
        require_done(outcome, bucket, key, condition=condition, facts=facts, upload=upload)
        promised = self._promised(stamp)
        return replace(intent, version=promised, begun=promised)

    async def restamp(self, intent: Intent, *, lease: int, alone: bool = False) -> Intent:
        condition = intent.condition
        again = replace(intent, expires=self._now() + lease, alone=alone or intent.alone)
        if intent.again and alone and not intent.alone:
            return await self._hold_again_alone(intent, again)
        if intent.replica:
            return await self._hold_replica(intent, again)
        promise = PromiseAgain(
            intent.bucket.encode(),
            intent.key.encode(),
            intent.version.stamp,
            intent.version.site,
            intent.expires,
            self._clock.stamp(),
            again.expires,
            condition.match,
            condition.none_match,
            alone and not intent.alone,
            again.alone,
            ENCODER.encode(again),
        )
        outcome, stamp, facts = await self._promising_again.ask(promise)
        require_done(
            outcome, intent.bucket, intent.key, condition=condition, facts=facts, intent=intent
        )
        return replace(again, version=self._promised(stamp))

    async def renew(self, intent: Intent, *, lease: int) -> Intent:
        held = replace(intent, expires=self._now() + lease)
        version = intent.version
        found = await self._connections.write(
            RENEW,
            held.expires,
            intent.bucket.encode(),
            intent.key.encode(),
            version.stamp,
            version.site,
            intent.expires,
        )
        if not found:
            raise Unavailable(f"{intent.bucket}/{intent.key}: the lease of {version} ran out")
        return held

    def _promised(self, stamp: int) -> Version:
        """The version of that stamp; later ones of this process are above it."""
        self._clock.stamp(after=stamp)
        return Version(stamp, self._site)

    async def _promise(self, promises: Sequence[Promise]) -> Sequence[Record]:
        buckets, keys, *rest = columns(promises)
        return await self._connections.batch(
            "SELECT * FROM promise($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            *locks_of(self._locks, buckets, keys),
            any(promise.alone for promise in promises),
            self._site,
            buckets,
            keys,
            *rest,
        )

    async def _promise_again(self, promises: Sequence[PromiseAgain]) -> Sequence[Record]:
        buckets, keys, *rest = columns(promises)
        return await self._connections.batch(
            "SELECT * FROM promise_again($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
            " $14, $15, $16)",
            *locks_of(self._locks, buckets, keys),
            any(promise.alone for promise in promises),
            self._site,
            buckets,
            keys,
            *rest,
        )
