"""Events into a topic of Kafka, those of one object into one partition."""

from collections.abc import Sequence

from backends.events import records
from backends.events.kafka.connection import Connection
from backends.events.kafka.options import KafkaOptions
from backends.events.kafka.producer import Outgoing, Producer
from backends.events.kafka.topics import Topics
from backends.model import Event


class KafkaPublisher:
    """As Publisher. Looks for its topics, or makes them, before the first event."""

    def __init__(self, options: KafkaOptions, *, region: str = records.REGION) -> None:
        connection = Connection(options)
        self._topic = options.topic
        self._topics = Topics(connection)
        self._producer = Producer(connection)
        self._region = region
        self._prepared = False

    async def check(self) -> None:
        """Reach the cluster and its topics: Unavailable, AccessDenied, NotFound say why not."""
        await self._topics.prepare()
        self._prepared = True

    async def publish(self, events: Sequence[Event]) -> None:
        """As Publisher."""
        if not self._prepared:
            await self.check()
        await self._producer.send(
            self._topic,
            (
                Outgoing(records.key_of(event), records.encode(event, region=self._region))
                for event in events
            ),
        )

    async def close(self) -> None:
        """As Publisher."""
        await self._producer.close()
