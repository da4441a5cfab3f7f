"""The EventLog on Kafka: a consumer group whose offsets follow what is done."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka

from backends.errors import Unavailable
from backends.events.kafka.connection import Connection
from backends.events.kafka.dead_letters import DeadLetters
from backends.events.kafka.options import KafkaOptions
from backends.events.kafka.subscription import Subscription
from backends.events.kafka.topics import Topics
from backends.events.protocol import Delivery

ATTEMPTS: Final = 5
A_DAY_MILLISECONDS: Final = 24 * 3_600_000
FETCH_MILLISECONDS: Final = 100  # a partition that has room again waits for the others' fetch


class KafkaLog:
    """Consumers of one group share its partitions; what one has not done when it ends another does.

    Offsets are committed a moment after the events before them are done, on a rebalance and at
    the end of a block. A crash hands out again what was done in that moment.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._connection = Connection(options)
        self._topics = Topics(self._connection)

    async def check(self) -> None:
        """Reach the cluster and its topics: Unavailable, AccessDenied, NotFound say why not."""
        await self._topics.prepare()

    @asynccontextmanager
    async def subscribe(self, group: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """As EventLog. Several tasks may iterate; when the block ends, each iteration does."""
        await self._join(group)
        dead_letters = DeadLetters(self._connection, group)
        consumer = self._consumer(group)
        subscription = Subscription(consumer, self._connection, dead_letters)
        options = self._options
        patience = options.timeout + options.session_seconds + options.rebalance_wait
        try:
            async with self._connection.translated(f"group {group}"), asyncio.timeout(patience):
                await consumer.start()
            async with subscription.running():
                yield subscription.lanes
        finally:
            await _stop(consumer)
            await dead_letters.close()

    async def _join(self, group: str) -> None:
        """Let a group that is new here begin at the end of the topic, on all its partitions.

        Only the offsets say that a group is known, so it has them before it waits for events.
        Another consumer of the group may do the same just now: then it is known at the next look.
        """
        for _ in range(ATTEMPTS):
            standing = await self._topics.standing(group)
            if standing.offsets or await self._begin_at_end(group, standing.partitions):
                return
        raise Unavailable(f"Kafka at {self._options.address}: group {group} does not settle")

    async def _begin_at_end(self, group: str, partitions: Sequence[TopicPartition]) -> bool:
        """Whether the group took these offsets; it does not while it has members."""
        async with self._connection.translated(f"group {group}"):
            consumer = self._consumer(group)
            try:
                await consumer.start()
                consumer.assign(partitions)
                await consumer.commit(await consumer.end_offsets(partitions))
            except (kafka.CommitFailedError, kafka.UnknownMemberIdError):
                return False
            finally:
                await _stop(consumer)
            return True

    def _consumer(self, group: str) -> AIOKafkaConsumer:
        """A consumer that commits only what it is told to.

        Its partitions stay its own however long the work takes that is out; and those that are
        added to the topic are read from their beginning.
        """
        options = self._options
        return AIOKafkaConsumer(
            **self._connection.arguments(),
            group_id=options.group_id(group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(options.session_seconds * 1000),
            heartbeat_interval_ms=int(options.session_seconds * 1000 / 4),
            rebalance_timeout_ms=int((options.session_seconds + options.rebalance_wait) * 1000),
            max_poll_interval_ms=A_DAY_MILLISECONDS,
            fetch_max_wait_ms=FETCH_MILLISECONDS,
        )


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and disconnect; a group finds out by itself who could not say good-bye.

    While a fetch waits to be tried again, aiokafka's `stop` ends as if it were cancelled, with its
    connections open.
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait([stopping])
    if stopping.cancelled():
        await consumer._client.close()
        return
    error = stopping.exception()
    if error is not None and not isinstance(error, kafka.KafkaError):
        raise error
