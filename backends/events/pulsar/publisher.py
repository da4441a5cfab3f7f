"""Events into a topic of Pulsar, keyed by object."""

from collections.abc import Sequence

from backends.events import records
from backends.events.pulsar.options import PulsarOptions
from backends.events.pulsar.producer import Outgoing, Producer
from backends.model import Event


class PulsarPublisher:
    """As Publisher."""

    def __init__(self, options: PulsarOptions, *, region: str = records.REGION) -> None:
        self._producer = Producer(options, options.topic)
        self._region = region

    async def check(self) -> None:
        """Reach the cluster and its topic: Unavailable, AccessDenied, NotFound say why not."""
        await self._producer.send([])

    async def publish(self, events: Sequence[Event]) -> None:
        """As Publisher."""
        await self._producer.send(
            Outgoing(records.key_of(event).decode(), records.encode(event, region=self._region))
            for event in events
        )

    async def close(self) -> None:
        """As Publisher."""
        await self._producer.close()
