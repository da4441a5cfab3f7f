"""What stands in topics of Pulsar, read to their present end."""

import pulsar
from pulsar.asyncio import Client

from backends.events import records
from backends.events.pulsar import PulsarOptions
from backends.model import Event


async def messages(options: PulsarOptions, topic: str) -> list[pulsar.Message]:
    """All messages of a topic without partitions."""
    client = Client(options.url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        reader = await client.create_reader(topic, pulsar.MessageId.earliest)
        found = []
        while await reader.has_message_available():
            found.append(await reader.read_next())
        return found
    finally:
        await client.close()


async def events_in(options: PulsarOptions) -> list[Event]:
    return [records.decode(one.data()) for one in await messages(options, options.topic)]


async def dead_events(options: PulsarOptions) -> list[tuple[str, Event, str]]:
    """Group, event and reason of each dead letter."""
    found = await messages(options, options.dead_letters)
    told = [(one.properties(), records.decode(one.data())) for one in found]
    return [
        (properties["ccs-group"], event, properties["ccs-reason"]) for properties, event in told
    ]
