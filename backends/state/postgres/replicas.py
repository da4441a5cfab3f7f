"""Promised writes in PostgreSQL that keep the version another site gave them."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from asyncpg import Record
from msgspec.structs import replace

from backends.model import Intent, Version
from backends.state.postgres.connections import Connections
from backends.state.postgres.locks import Locks
from backends.state.postgres.records import ENCODER, columns
from backends.state.postgres.tables import Tables
from backends.state.postgres.writing import locks_of, require_done

PROMISE: Final = (
    f"SELECT * FROM promise_replica({', '.join(f'${number}' for number in range(1, 14))})"
)
AGAIN: Final = (
    f"SELECT * FROM promise_replica_again({', '.join(f'${number}' for number in range(1, 15))})"
)


class Replica(NamedTuple):
    """What `promise_replica` takes, in its order."""

    bucket: bytes
    key: bytes
    stamp: int
    site: str
    ends: int
    upload: bytes | None
    match: str
    none_match: str
    alone: bool
    intent: bytes


class ReplicaAgain(NamedTuple):
    """What `promise_replica_again` takes, in its order. `turn` asks to be alone from now on."""

    bucket: bytes
    key: bytes
    stamp: int
    site: str
    old_ends: int
    ends: int
    match: str
    none_match: str
    turn: bool
    alone: bool
    intent: bytes


class ReplicaTable(Tables):
    """How replicas are promised; as `PromiseTable`."""

    def __init__(
        self, connections: Connections, locks: Locks, site: str, now: Callable[[], int]
    ) -> None:
        super().__init__(connections, locks, site, now)
        self._promising_replicas = self._lane(self._promise_replicas)
        self._promising_replicas_again = self._lane(self._promise_replicas_again)

    async def _begin_replica(self, intent: Intent, version: Version) -> Intent:
        promised = replace(intent, version=version, begun=version, replica=True)
        condition = intent.condition
        replica = Replica(
            intent.bucket.encode(),
            intent.key.encode(),
            version.stamp,
            version.site,
            intent.expires,
            intent.upload.encode() or None,
            condition.match,
            condition.none_match,
            intent.alone,
            ENCODER.encode(promised),
        )
        outcome, facts = await self._promising_replicas.ask(replica)
        _require(outcome, promised, facts)
        return promised

    async def _hold_replica(self, intent: Intent, again: Intent) -> Intent:
        condition = intent.condition
        replica = ReplicaAgain(
            intent.bucket.encode(),
            intent.key.encode(),
            intent.version.stamp,
            intent.version.site,
            intent.expires,
            again.expires,
            condition.match,
            condition.none_match,
            again.alone and not intent.alone,
            again.alone,
            ENCODER.encode(again),
        )
        outcome, facts = await self._promising_replicas_again.ask(replica)
        _require(outcome, intent, facts)
        return again

    async def _promise_replicas(self, replicas: Sequence[Replica]) -> Sequence[Record]:
        return await self._ask_replicas(PROMISE, replicas)

    async def _promise_replicas_again(self, replicas: Sequence[ReplicaAgain]) -> Sequence[Record]:
        return await self._ask_replicas(AGAIN, replicas)

    async def _ask_replicas(
        self, sql: str, replicas: Sequence[Replica] | Sequence[ReplicaAgain]
    ) -> Sequence[Record]:
        buckets, keys, *rest = columns(replicas)
        return await self._connections.batch(
            sql,
            *locks_of(self._locks, buckets, keys),
            any(replica.alone for replica in replicas),
            buckets,
            keys,
            *rest,
        )


def _require(outcome: str, intent: Intent, facts: bytes | None) -> None:
    """Return if the outcome is none of those that are errors."""
    require_done(
        outcome,
        intent.bucket,
        intent.key,
        condition=intent.condition,
        facts=facts,
        upload=intent.upload,
        intent=intent,
    )
