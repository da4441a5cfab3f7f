"""What one consumer holds of a subscription: one lane, for Pulsar keeps the order by keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pulsar
import structlog
from pulsar.asyncio import Consumer

from backends.errors import BackendError, Corrupt
from backends.events import records
from backends.events.lanes import Lane, Lanes
from backends.events.pulsar.connection import translated
from backends.events.pulsar.options import PulsarOptions
from backends.events.pulsar.producer import Outgoing, Producer
from backends.events.window import Numbered
from backends.model import Event

PARK_SECONDS: Final = 1.0
Place = tuple[int, int, int, int]

log: Final = structlog.get_logger("events")


class Subscription:
    """The deliveries of one consumer.

    After a lost connection the broker sends again what was not acknowledged: what is still held
    is passed over then.
    """

    def __init__(
        self, consumer: Consumer, options: PulsarOptions, group: str, dead_letters: Producer
    ) -> None:
        self._consumer = consumer
        self._options = options
        self._group = group
        self._dead_letters = dead_letters
        self._lane = Lane(options.look_ahead)
        self._messages: dict[int, pulsar.Message] = {}
        self._places: set[Place] = set()
        self.lanes = Lanes(self)
        self.lanes.replace([self._lane])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Receive while the block runs."""
        task = asyncio.create_task(self._receive_on())
        task.add_done_callback(self._ended)
        try:
            yield
        finally:
            self.lanes.close()
            task.cancel()
            await asyncio.wait([task])

    async def settled(self, _: Lane, numbered: Numbered) -> None:
        """As Source: acknowledge the message."""
        message = self._messages.pop(numbered.sequence)
        self._places.remove(_place_of(message))
        await self._acknowledge(message)

    async def park(self, event: Event, reason: str) -> None:
        """As Source."""
        key = records.key_of(event).decode()
        await self._park(key, records.encode(event), reason)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.lanes.fail(error)

    async def _receive_on(self) -> None:
        while True:
            while self._lane.window.room <= 0:
                await self.lanes.change()
            with translated(self._options, self._options.topic):
                message = await self._consumer.receive()
            await self._take(message)

    async def _take(self, message: pulsar.Message) -> None:
        if _place_of(message) in self._places:
            return
        try:
            event = records.decode(message.data())
        except Corrupt as error:
            await self._bury(message, str(error))
            return
        sequence = self._lane.window.newest + 1
        self._messages[sequence] = message
        self._places.add(_place_of(message))
        self._lane.window.add(Numbered(sequence, event))
        self.lanes.notify()

    async def _bury(self, message: pulsar.Message, reason: str) -> None:
        """Park what is no event, however long that takes."""
        while True:
            try:
                await self._park(message.partition_key(), message.data(), reason)
            except BackendError as error:
                log.warning("a message that is no event cannot be parked", error=str(error))
                await asyncio.sleep(PARK_SECONDS)
            else:
                log.warning("a message is no event", reason=reason)
                await self._acknowledge(message)
                return

    async def _park(self, key: str, value: bytes, reason: str) -> None:
        told = {"ccs-reason": reason, "ccs-group": self._group}
        await self._dead_letters.send([Outgoing(key, value, told)])

    async def _acknowledge(self, message: pulsar.Message) -> None:
        with translated(self._options, f"group {self._group}"):
            await self._consumer.acknowledge(message)


def _place_of(message: pulsar.Message) -> Place:
    found = message.message_id()
    return found.partition(), found.ledger_id(), found.entry_id(), found.batch_index()
