"""Topics as we need them: looked for, made where they are missing."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from backends.errors import NotFound
from backends.events.kafka.connection import Connection

PAUSE_SECONDS: Final = 0.05
HOUR_MILLISECONDS: Final = 3_600_000

log: Final = structlog.get_logger("events")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a topic stands: its partitions, and where a group is in them (if it ever was)."""

    partitions: tuple[TopicPartition, ...]
    offsets: Mapping[TopicPartition, int]


class Topics:
    """The topic of the events and the one of what was given up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._options = connection.options

    async def prepare(self) -> None:
        """Find both topics, or make them.

        Unavailable; AccessDenied; NotFound where one is missing and may not be made.
        """
        async with self._connection.translated("topics"), self._admin() as admin:
            await self._prepare(admin)

    async def standing(self, group: str) -> Standing:
        """The topic of the events as `group` finds it; as `prepare`."""
        topic = self._options.topic
        async with self._connection.translated(f"topic {topic}"), self._admin() as admin:
            count = (await self._prepare(admin))[topic]
            offsets = await self._offsets(admin, group)
        return Standing(tuple(TopicPartition(topic, at) for at in range(count)), offsets)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._connection.arguments())
        async with asyncio.timeout(self._options.timeout):
            try:
                await admin.start()
                yield admin
            finally:
                await admin.close()

    async def _prepare(self, admin: AIOKafkaAdminClient) -> dict[str, int]:
        """How many partitions each of the topics has."""
        wanted = {self._options.topic: self._options.partitions, self._options.dead_letters: 1}
        found = await self._found(admin, wanted)
        for name, partitions in wanted.items():
            if name not in found:
                await self._create(admin, name, partitions)
        while len(found) < len(wanted):
            await asyncio.sleep(PAUSE_SECONDS)
            found = await self._found(admin, wanted)
        if found[self._options.topic] < self._options.partitions:
            log.warning(
                "the topic has fewer partitions than configured and is used as it is",
                topic=self._options.topic,
                partitions=found[self._options.topic],
                configured=self._options.partitions,
            )
        return found

    async def _found(self, admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
        """The partitions of those that are there; to ask for a missing one might make it."""
        there = set(await admin.list_topics()).intersection(names)
        described = await admin.describe_topics(sorted(there)) if there else []
        return {
            topic["topic"]: len(topic["partitions"])
            for topic in described
            if topic["error_code"] == 0
            and all(partition["leader"] >= 0 for partition in topic["partitions"])
        }

    async def _create(self, admin: AIOKafkaAdminClient, name: str, partitions: int) -> None:
        options = self._options
        if not options.create_topics:
            raise NotFound(self._missing(name, partitions))
        default = options.replicas < 0
        topic = NewTopic(
            name,
            partitions,
            options.replicas,
            replica_assignments={} if default else None,  # else it takes no -1
            topic_configs={"retention.ms": str(options.retention_hours * HOUR_MILLISECONDS)},
        )
        answer = await admin.create_topics([topic])
        for _, code, *told in answer.topic_errors:
            error = kafka.for_code(code)
            if error not in (kafka.NoError, kafka.TopicAlreadyExistsError):
                raise error(f"creating {name}: {told[0] if told else ''}")
        log.info("made a topic", topic=name, partitions=partitions)

    def _missing(self, name: str, partitions: int) -> str:
        replicas = self._options.replicas
        copies = f" --replication-factor {replicas}" if replicas > 0 else ""
        return (
            f"Kafka at {self._options.address}: there is no topic {name}, and the settings forbid"
            f" to create it; do so with: kafka-topics.sh --bootstrap-server"
            f" {self._options.servers[0]} --create --topic {name} --partitions {partitions}{copies}"
        )

    async def _offsets(
        self, admin: AIOKafkaAdminClient, group: str
    ) -> Mapping[TopicPartition, int]:
        """Where the group is; empty for one that never was."""
        while True:
            try:
                held = await admin.list_consumer_group_offsets(self._options.group_id(group))
            except kafka.KafkaError as error:
                if not error.retriable:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)  # its coordinator is still starting
            else:
                topic = self._options.topic
                return {at: one.offset for at, one in held.items() if at.topic == topic}
