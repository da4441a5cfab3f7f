"""The EventLog on Pulsar: a key-shared subscription, acknowledged event by event."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pulsar

from backends.events.protocol import Delivery
from backends.events.pulsar.connection import client_of, close, translated
from backends.events.pulsar.options import PulsarOptions
from backends.events.pulsar.producer import Producer
from backends.events.pulsar.subscription import Subscription


class PulsarLog:
    """Consumers of one group share the objects; what one has not done when it ends another does."""

    def __init__(self, options: PulsarOptions) -> None:
        self._options = options

    async def check(self) -> None:
        """Reach the cluster and its topic: Unavailable, AccessDenied, NotFound say why not."""
        producer = Producer(self._options, self._options.topic)
        try:
            await producer.send([])
        finally:
            await producer.close()

    @asynccontextmanager
    async def subscribe(self, group: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """As EventLog. Several tasks may iterate; when the block ends, each iteration does."""
        options = self._options
        client = client_of(options)
        dead_letters = Producer(options, options.dead_letters)
        try:
            with translated(options, f"{options.topic}, group {group}"):
                async with asyncio.timeout(options.timeout):
                    consumer = await client.subscribe(
                        options.topic,
                        group,
                        consumer_type=pulsar.ConsumerType.KeyShared,
                        initial_position=pulsar.InitialPosition.Latest,
                        receiver_queue_size=options.look_ahead,
                    )
            subscription = Subscription(consumer, options, group, dead_letters)
            async with subscription.running():
                yield subscription.lanes
        finally:
            await close(client)
            await dead_letters.close()
