"""A producer that either has everything at the broker in time or gives it up."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pulsar.asyncio import Client
from pulsar.asyncio import Producer as PulsarProducer

from backends.events.pulsar.connection import client_of, close, translated
from backends.events.pulsar.options import PulsarOptions

PENDING: Final = 50_000


class Outgoing(NamedTuple):
    """A message on its way."""

    key: str | None
    value: bytes
    properties: Mapping[str, str] = {}


class Producer:
    """Opens at the first message, and again after a failure. One `send` at a time."""

    def __init__(self, options: PulsarOptions, topic: str) -> None:
        self._options = options
        self._topic = topic
        self._client: Client | None = None
        self._producer: PulsarProducer | None = None

    async def send(self, messages: Iterable[Outgoing]) -> None:
        """All of them, in order, durable at the broker when this returns.

        Unavailable; AccessDenied; NotFound where the topic may not be made. Then some may have
        arrived.
        """
        sent = False
        try:
            with translated(self._options, self._topic):
                async with asyncio.timeout(self._options.timeout):
                    await self._deliver(messages)
            sent = True
        finally:
            if not sent:
                await self.close()

    async def close(self) -> None:
        """Let go; what was not taken is not sent any more."""
        if self._client is not None:
            client, self._client, self._producer = self._client, None, None
            await close(client)

    async def _deliver(self, messages: Iterable[Outgoing]) -> None:
        """One after the other into the client's queue; the first error once each has an answer."""
        producer = self._producer or await self._opened()
        sends = (
            producer.send(value, partition_key=key, properties=dict(properties))
            for key, value, properties in messages
        )
        for ended in await asyncio.gather(*sends, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    async def _opened(self) -> PulsarProducer:
        """Without batches: one comes again whole while any event of it is not done."""
        self._client = client_of(self._options)
        self._producer = await self._client.create_producer(
            self._topic,
            send_timeout_millis=int(self._options.timeout * 1000),
            max_pending_messages=PENDING,
            batching_enabled=False,
        )
        return self._producer
