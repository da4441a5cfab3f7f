"""What stands in topics of Kafka, read to their present end."""

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from backends.events import records
from backends.events.kafka import KafkaOptions
from backends.model import Event


async def messages(options: KafkaOptions, topic: str) -> list[ConsumerRecord]:
    """All messages, partition by partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=list(options.servers), auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)
        partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[ConsumerRecord] = []
        for at in sorted(partitions):
            while await consumer.position(at) < ends[at]:
                for batch in (await consumer.getmany(at, timeout_ms=1000)).values():
                    found.extend(batch)
        return found
    finally:
        await consumer.stop()


async def events_in(options: KafkaOptions) -> list[Event]:
    """The events of the topic, partition by partition."""
    return [records.decode(record.value) for record in await messages(options, options.topic)]


def headers_of(record: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


async def dead_events(options: KafkaOptions) -> list[tuple[str, Event, str]]:
    """Group, event and reason of each dead letter."""
    found = await messages(options, options.dead_letters)
    told = [(headers_of(record), records.decode(record.value)) for record in found]
    return [(headers["ccs-group"], event, headers["ccs-reason"]) for headers, event in told]
