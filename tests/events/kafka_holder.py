"""A consumer of the group `west` that holds whatever it is given until it is killed."""

import asyncio
import sys

from backends.events.kafka import KafkaLog, KafkaOptions


def tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def hold(server: str, topic: str) -> None:
    options = KafkaOptions((server,), topic, partitions=3, session_seconds=2)
    async with KafkaLog(options).subscribe("west") as deliveries:
        tell("ready")
        held = []
        async for delivery in deliveries:
            held.append(delivery)
            tell("holds")


asyncio.run(hold(*sys.argv[1:]))
