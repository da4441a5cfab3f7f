"""The outbox in SQLite: events, kept while a group that subscribed has not read them."""

import sqlite3
from typing import Final

from msgspec import json

from backends.model import Event
from backends.state.sqlite.tables import Tables

EVENT: Final = json.Decoder(Event)


class OutboxTable(Tables):
    """The verbs of the protocol that event logs use."""

    async def subscribe(self, group: str) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO subscriptions"
                " SELECT ?, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)"
                " WHERE true ON CONFLICT DO NOTHING",
                (group,),
            )

        await self._database.write(insert)

    async def unsubscribe(self, group: str) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM subscriptions WHERE name = ?", (group,))
            _trim(connection)

        await self._database.write(delete)

    async def groups(self) -> list[str]:
        found = self._database.read("SELECT name FROM subscriptions ORDER BY name")
        return [name for (name,) in found]

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        found = self._database.read(
            "SELECT sequence, event FROM outbox WHERE sequence > max(?,"
            " (SELECT cursor FROM subscriptions WHERE name = ?)) ORDER BY sequence LIMIT ?",
            (after, group, limit),
        )
        return [(sequence, EVENT.decode(data)) for sequence, data in found]

    async def acknowledge(self, group: str, sequence: int) -> None:
        def advance(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE subscriptions SET cursor = max(cursor, ?) WHERE name = ?",
                (sequence, group),
            )
            _trim(connection)

        await self._database.write(advance, durable=False)


def _trim(connection: sqlite3.Connection) -> None:
    """Drop what every group is done with; all of it where nobody subscribes."""
    connection.execute(
        "DELETE FROM outbox WHERE sequence <= coalesce("
        "(SELECT min(cursor) FROM subscriptions), 9223372036854775807)"
    )
