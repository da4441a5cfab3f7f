"""What one consumer holds of a group: its partitions as lanes, read, committed, given away."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka import errors as kafka
from aiokafka.abc import ConsumerRebalanceListener

from backends.errors import BackendError, Corrupt
from backends.events import records
from backends.events.kafka.connection import Connection
from backends.events.kafka.dead_letters import DeadLetters
from backends.events.lanes import Lane, Lanes
from backends.events.window import Numbered
from backends.model import Event

READ_SECONDS: Final = 0.2
READ_SECONDS_WHILE_FULL: Final = 0.02
COMMIT_SECONDS: Final = 0.2
PARK_SECONDS: Final = 1.0

log: Final = structlog.get_logger("events")


class Partition(Lane):
    """A lane whose numbers are offsets: the one behind the message, which is what one commits."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.committed = 0


class Poison(NamedTuple):
    """A message that is no event, and where it stood."""

    partition: Partition
    record: ConsumerRecord
    reason: str


class Subscription:
    """The deliveries of one consumer of a group."""

    def __init__(
        self, consumer: AIOKafkaConsumer, connection: Connection, dead_letters: DeadLetters
    ) -> None:
        self._consumer = consumer
        self._connection = connection
        self._options = connection.options
        self._dead_letters = dead_letters
        self._partitions: dict[TopicPartition, Partition] = {}
        self._poison: list[Poison] = []
        self.lanes = Lanes(self)
        consumer.subscribe([self._options.topic], listener=Rebalancing(self))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read and commit while the block runs; commit once more at its end."""
        tasks = [asyncio.create_task(self._read_on()), asyncio.create_task(self._commit_on())]
        for task in tasks:
            task.add_done_callback(self._ended)
        try:
            yield
        finally:
            self.lanes.close()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._commit()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.lanes.fail(error)

    async def settled(self, lane: Lane, numbered: Numbered) -> None:
        """As Source: the next commit says so."""

    async def park(self, event: Event, reason: str) -> None:
        """As Source."""
        await self._dead_letters.park(event, reason)

    # Rebalances

    async def give_up(self) -> None:
        """All partitions may go to others: wait a little for what is out, commit what is done."""
        self.lanes.hold()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.rebalance_wait):
                await self.lanes.settled()
        if not await self._commit():
            self._partitions = {}  # others have had them meanwhile

    def take_over(self, assigned: Iterable[TopicPartition]) -> None:
        """Go on with those that came back, where they were, and begin with the others."""
        kept, self._partitions = self._partitions, {}
        for at in assigned:
            self._partitions[at] = kept.get(at) or Partition(self._options.look_ahead)
            if self._partitions[at].window.newest:
                self._consumer.seek(at, self._partitions[at].window.newest)
        self.lanes.replace(self._partitions.values())
        log.info("partitions assigned", partitions=sorted(at.partition for at in self._partitions))

    # Reading

    async def _read_on(self) -> None:
        while True:
            async with self._connection.translated(f"topic {self._options.topic}"):
                await self._read()
            if self._poison:
                await self._bury()

    async def _read(self) -> None:
        """Take what has come for the partitions that have room; the others are paused."""
        with_room = self._pause_the_full()
        if self._partitions and not with_room:
            await self._wait_for_room()
            return
        full = len(with_room) < len(self._partitions)
        seconds = READ_SECONDS_WHILE_FULL if full else READ_SECONDS
        room = min((self._partitions[at].window.room for at in with_room), default=None)
        found = await self._consumer.getmany(
            *with_room, timeout_ms=int(seconds * 1000), max_records=room
        )
        self._take(found)

    def _pause_the_full(self) -> list[TopicPartition]:
        """Those that have room."""
        with_room = []
        for at in self._consumer.assignment() & self._partitions.keys():
            if self._partitions[at].window.room > 0:
                self._consumer.resume(at)
                with_room.append(at)
            else:
                self._consumer.pause(at)
        return with_room

    async def _wait_for_room(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                await self.lanes.change()

    def _take(self, found: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        for at, messages in found.items():
            if at not in self._partitions:
                continue  # it was taken from us meanwhile
            partition = self._partitions[at]
            for record in messages:
                if record.offset >= partition.window.newest:
                    self._add(partition, record)
        if found:
            self.lanes.notify()

    def _add(self, partition: Partition, record: ConsumerRecord) -> None:
        try:
            event = records.decode(record.value or b"")
        except Corrupt as error:
            partition.window.reserve(record.offset + 1)
            self._poison.append(Poison(partition, record, str(error)))
        else:
            partition.window.add(Numbered(record.offset + 1, event))

    async def _bury(self) -> None:
        """Park what is no event; what cannot be parked now stays, and the offset before it."""
        try:
            while self._poison:
                partition, record, reason = self._poison[0]
                origin = f"{record.topic}/{record.partition}/{record.offset}"
                if partition.owned:
                    await self._dead_letters.park_message(
                        record.key, record.value or b"", reason, origin=origin
                    )
                    log.warning("a message is no event", origin=origin, reason=reason)
                partition.window.settle(record.offset + 1)
                del self._poison[0]
        except BackendError as error:
            log.warning("a message that is no event cannot be parked", error=str(error))
            await asyncio.sleep(PARK_SECONDS)

    # Committing

    async def _commit_on(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> bool:
        """Tell the group how far each partition is done; whether it still takes it from us."""
        done = {
            at: partition
            for at, partition in self._partitions.items()
            if partition.window.cursor > partition.committed
        }
        if not done:
            return True
        offsets = {at: partition.window.cursor for at, partition in done.items()}
        try:
            async with asyncio.timeout(self._options.timeout):  # else it waits for a lost broker
                await self._consumer.commit(offsets)
        except (kafka.KafkaError, TimeoutError) as error:
            log.info("offsets were not committed", error=str(error) or type(error).__name__)
            return False
        for at, partition in done.items():
            partition.committed = offsets[at]
        return True


class Rebalancing:
    """What aiokafka calls when partitions go and come."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        await self._subscription.give_up()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._subscription.take_over(assigned)


ConsumerRebalanceListener.register(Rebalancing)
