"""The outbox in PostgreSQL: events, kept while a group that subscribed has not read them."""

from collections.abc import Callable, Sequence

from backends.model import Event
from backends.state.postgres.connections import Connections
from backends.state.postgres.locks import Locks
from backends.state.postgres.records import event_of
from backends.state.postgres.tables import Tables

Progress = tuple[str, int]


class OutboxTable(Tables):
    """The verbs of the protocol that event logs use."""

    def __init__(
        self, connections: Connections, locks: Locks, site: str, now: Callable[[], int]
    ) -> None:
        super().__init__(connections, locks, site, now)
        self._acknowledging = self._lane(self._acknowledge)

    async def subscribe(self, group: str) -> None:
        await self._connections.write("SELECT subscribe($1, $2)", self._locks.subscriptions, group)

    async def unsubscribe(self, group: str) -> None:
        await self._connections.write(
            "SELECT unsubscribe($1, $2)", self._locks.subscriptions, group
        )

    async def groups(self) -> list[str]:
        found = await self._connections.read("SELECT name FROM subscriptions ORDER BY name")
        return [name for (name,) in found]

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        found = await self._connections.read(
            "SELECT sequence, stamp, site, event FROM outbox WHERE sequence >"
            " (SELECT greatest(cursor, $2) FROM subscriptions WHERE name = $1)"
            " ORDER BY sequence LIMIT $3",
            group,
            after,
            limit,
        )
        return [(record["sequence"], event_of(record)) for record in found]

    async def acknowledge(self, group: str, sequence: int) -> None:
        await self._acknowledging.ask((group, sequence))

    async def _acknowledge(self, progress: Sequence[Progress]) -> Sequence[None]:
        furthest: dict[str, int] = {}
        for group, sequence in progress:
            furthest[group] = max(sequence, furthest.get(group, 0))
        await self._connections.batch(
            "SELECT acknowledge($1, $2)", list(furthest), list(furthest.values())
        )
        return [None] * len(progress)
