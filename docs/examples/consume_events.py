"""Follow the changes of a store: prints one line for each new version of an object.

Needs only aiokafka (`pip install aiokafka`); run it as

    python consume_events.py SERVER TOPIC GROUP

Several copies with the same GROUP share the work. Stop it with Ctrl-C.
"""

import asyncio
import json
import sys
from urllib.parse import unquote_plus

from aiokafka import AIOKafkaConsumer


async def follow(server: str, topic: str, group: str) -> None:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=server,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    newest = {}  # a real consumer keeps this where it keeps what it makes of the events
    async with consumer:
        async for message in consumer:
            for record in json.loads(message.value)["Records"]:
                handle(record, newest)
            await consumer.commit()


def handle(record: dict, newest: dict) -> None:
    """Events come at least once: what is not newer than what was seen has been handled before."""
    bucket = record["s3"]["bucket"]["name"]
    key = unquote_plus(record["s3"]["object"]["key"])
    version = record["cloneCloudStore"]["version"]
    if version <= newest.get((bucket, key), ""):
        return
    newest[bucket, key] = version
    size = record["s3"]["object"].get("size", "-")
    print(record["eventName"], bucket, key, size, version, flush=True)


if __name__ == "__main__":
    asyncio.run(follow(*sys.argv[1:]))
