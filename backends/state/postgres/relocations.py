"""Bytes in PostgreSQL that are stored anew under a row that stays: promised, alone, committed."""

from typing import Final

from msgspec.structs import replace

from backends.model import Intent, Row, Version
from backends.state.postgres.records import ENCODER, row_of
from backends.state.postgres.tables import Tables
from backends.state.postgres.writing import DONE, locks_of, require_done
from backends.state.protocol import Committed

PROMISE: Final = (
    "SELECT * FROM promise_relocation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
)
ALONE: Final = "SELECT * FROM relocate_alone($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
RELOCATE: Final = "SELECT * FROM relocate($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


class RelocationTable(Tables):
    """How `again` is promised and committed. Seldom done, so each is a statement of its own."""

    async def _begin_again(self, intent: Intent, version: Version) -> Intent:
        promised = replace(intent, version=version, begun=version, replica=True, again=True)
        condition = intent.condition
        [(outcome, facts)] = await self._connections.write(
            PROMISE,
            *self._locks_for(promised),
            intent.alone,
            *_place(promised),
            intent.expires,
            intent.upload.encode() or None,
            condition.match,
            condition.none_match,
            intent.alone,
            ENCODER.encode(promised),
        )
        require_done(
            outcome,
            intent.bucket,
            intent.key,
            condition=condition,
            facts=facts,
            upload=intent.upload,
        )
        return promised

    async def _hold_again_alone(self, intent: Intent, held: Intent) -> Intent:
        condition = intent.condition
        [(outcome, facts)] = await self._connections.write(
            ALONE,
            *self._locks_for(intent),
            *_place(intent),
            intent.expires,
            held.expires,
            condition.match,
            condition.none_match,
            ENCODER.encode(held),
        )
        require_done(
            outcome, intent.bucket, intent.key, condition=condition, facts=facts, intent=intent
        )
        return held

    async def _relocate(self, row: Row, intent: Intent, *, overwrote: bool) -> Committed:
        [(outcome, locator, facts)] = await self._connections.write(
            RELOCATE,
            *self._locks_for(intent),
            self._now(),
            *_place(intent),
            row.locator,
            intent.expires,
            overwrote,
        )
        require_done(
            outcome, row.bucket, row.key, condition=intent.condition, facts=None, intent=intent
        )
        if outcome != DONE or locator == row.locator:
            return Committed(won=outcome == DONE)
        return Committed(won=True, replaced=row_of(row.bucket, row.key, locator, facts))

    def _locks_for(self, intent: Intent) -> tuple[list[int], list[int]]:
        return locks_of(self._locks, [intent.bucket.encode()], [intent.key.encode()])


def _place(intent: Intent) -> tuple[bytes, bytes, int, str]:
    version = intent.version
    return intent.bucket.encode(), intent.key.encode(), version.stamp, version.site
