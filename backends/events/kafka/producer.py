"""A producer that either has everything at the broker in time or gives it up."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer

from backends.events.kafka.connection import Connection

BATCH_BYTES: Final = 256 * 1024


class Outgoing(NamedTuple):
    """A message on its way."""

    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Producer:
    """Opens at the first message, and again after a failure. One `send` at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer: AIOKafkaProducer | None = None
        self._sent: list[asyncio.Future[object]] = []

    async def send(self, topic: str, messages: Iterable[Outgoing]) -> None:
        """All of them, in order, durable at the broker when this returns.

        Unavailable; AccessDenied; NotFound where the topic is gone. Then some may have arrived.
        """
        sent = False
        try:
            async with (
                self._connection.translated(f"topic {topic}"),
                asyncio.timeout(self._connection.options.timeout),
            ):
                await self._deliver(topic, messages)
            sent = True
        finally:
            if not sent:
                await self._abandon()

    async def close(self) -> None:
        """Let go; nothing is on its way by now."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def _deliver(self, topic: str, messages: Iterable[Outgoing]) -> None:
        producer = await self._opened()
        self._sent = []
        for key, value, headers in messages:
            self._sent.append(await producer.send(topic, value, key=key, headers=headers))
        await producer.flush()
        for one in self._sent:
            one.result()
        self._sent = []

    async def _opened(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                **self._connection.arguments(),
                acks="all",
                enable_idempotence=True,
                linger_ms=self._connection.options.linger_milliseconds,
                max_batch_size=BATCH_BYTES,
            )
            await self._producer.start()
        return self._producer

    async def _abandon(self) -> None:
        """Let go of what the broker has not taken.

        An idempotent producer of aiokafka tries on for ever, and its `stop` waits for that: the
        only way out leads through its inside, to which pyproject.toml pins the version.
        """
        for one in self._sent:
            if not one.cancel():
                one.exception()  # looked at, so that nobody misses it
        self._sent = []
        if self._producer is not None:
            producer, self._producer = self._producer, None
            producer._closed = True
            await producer._sender.close()
            await producer.client.close()
