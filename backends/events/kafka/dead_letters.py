"""The topic of what a group gave up on, with the reason in headers."""

from backends.events import records
from backends.events.kafka.connection import Connection
from backends.events.kafka.producer import Outgoing, Producer
from backends.model import Event


class DeadLetters:
    """Dead letters of one group. Raises as Producer."""

    def __init__(self, connection: Connection, group: str) -> None:
        self._topic = connection.options.dead_letters
        self._group = group
        self._producer = Producer(connection)

    async def park(self, event: Event, reason: str) -> None:
        """Keep an event."""
        await self._send(records.key_of(event), records.encode(event), reason, {})

    async def park_message(
        self, key: bytes | None, value: bytes, reason: str, *, origin: str
    ) -> None:
        """Keep a message that is no event, as it came; `origin` says from where."""
        await self._send(key, value, reason, {"ccs-origin": origin})

    async def close(self) -> None:
        await self._producer.close()

    async def _send(
        self, key: bytes | None, value: bytes, reason: str, more: dict[str, str]
    ) -> None:
        told = {"ccs-reason": reason, "ccs-group": self._group} | more
        headers = [(name, text.encode()) for name, text in told.items()]
        await self._producer.send(self._topic, [Outgoing(key, value, headers)])
