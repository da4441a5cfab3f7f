"""The consumer of docs/events.md, run as a reader would run it."""

import asyncio
import re
import sys
import uuid
from pathlib import Path

from backends.events.kafka import KafkaOptions, KafkaPublisher
from backends.model import Event, Version
from tests.services.brokers import Broker

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/consume_events.py"
DOCUMENT = (ROOT / "docs/events.md").read_text()
SECONDS = 60


async def test_the_example_tells_each_version_once(kafka: Broker) -> None:
    options = KafkaOptions((kafka.address,), f"events-{uuid.uuid4().hex[:12]}", partitions=2)
    put = Event("ObjectCreated:Put", "photos", "my cat+.jpg", Version(1, "here"), 1024, "tag")
    gone = Event("ObjectRemoved:Delete", "photos", "my cat+.jpg", Version(2, "here"))
    publisher = KafkaPublisher(options)
    await publisher.publish([put, gone, put, gone])
    await publisher.publish([Event("ObjectCreated:Put", "photos", "dog", Version(3, "here"), 1)])
    await publisher.close()

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLE), kafka.address, options.topic, "my-indexer"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            told = {(await process.stdout.readline()).decode().strip() for _ in range(3)}
    finally:
        process.kill()
        await process.wait()

    assert told == {
        "ObjectCreated:Put photos my cat+.jpg 1024 0000000000000001-here",
        "ObjectRemoved:Delete photos my cat+.jpg - 0000000000000002-here",
        "ObjectCreated:Put photos dog 1 0000000000000003-here",
    }


def test_the_document_names_every_event_that_the_gateway_tells() -> None:
    """Their names stand in the code as S3 writes them, without `s3:`."""
    sources = "".join(path.read_text() for path in (ROOT / "s3proxy").rglob("*.py"))
    told = set(re.findall(r'"(Object(?:Created|Removed):\w+)"', sources))

    assert told
    assert told <= set(re.findall(r"`(Object\w+:\w+)`", DOCUMENT))


def test_the_document_shows_the_example_as_it_is() -> None:
    assert "docs/examples/consume_events.py" in DOCUMENT or "examples/consume_events.py" in DOCUMENT
    assert 'version <= newest.get((bucket, key), "")' in DOCUMENT
