"""`python -m bench.events`: how fast a backlog leaves the outbox for a broker, and is read there.

A new SQLite outbox, synced to disk, is filled with an event of each of so many objects. A relay
publishes them to a topic of its own, then the tasks of one consumer acknowledge each of them.
"""

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from backends.events.kafka import KafkaLog, KafkaOptions, KafkaPublisher
from backends.events.protocol import Delivery, EventLog
from backends.events.pulsar import PulsarLog, PulsarOptions, PulsarPublisher
from backends.events.relay import Publisher, Relay
from backends.model import Bucket, Event, Facts, Row
from backends.state.sqlite import SQLiteState

BUCKET: Final = "bench"
WRITERS: Final = 64
LOOK_SECONDS: Final = 0.01


class Checked(Publisher, Protocol):
    """A publisher that can find its topic before the clock starts."""

    async def check(self) -> None: ...


async def fill(state: SQLiteState, events: int) -> None:
    """Commit a row, with its event, for each of so many keys."""
    await state.create_bucket(Bucket(BUCKET, "bench", 0))
    numbers = iter(range(events))

    async def write() -> None:
        for number in numbers:
            key = f"folder {number % 100}/object {number}.jpg"
            intent = await state.begin(BUCKET, key, lease=60_000)
            row = Row(BUCKET, key, Facts(intent.version, 4096, "0" * 32))
            event = Event("ObjectCreated:Put", BUCKET, key, row.version, 4096, "0" * 32, "REQUEST")
            await state.commit(row, event, intent=intent)

    async with asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(write())


async def relay_all(relay: Relay, events: int) -> float:
    """The seconds until so many are at the broker and out of the outbox."""
    began = time.perf_counter()
    running = asyncio.create_task(relay.run())
    left = True
    while left:
        await asyncio.sleep(LOOK_SECONDS)
        left = relay.figures.published < events
    took = time.perf_counter() - began
    running.cancel()
    await asyncio.wait([running])
    return took


async def read_all(deliveries: AsyncIterator[Delivery], events: int, tasks: int) -> float:
    """The seconds until so many are acknowledged."""
    began = time.perf_counter()
    left = events
    done = asyncio.Event()

    async def work() -> None:
        nonlocal left
        async for delivery in deliveries:
            await delivery.acknowledge()
            left -= 1
            if left == 0:
                done.set()

    workers = [asyncio.create_task(work()) for _ in range(tasks)]
    await done.wait()
    took = time.perf_counter() - began
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    return took


async def measure(log: EventLog, publisher: Checked, events: int, tasks: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = SQLiteState.open(Path(folder) / "state.db", site="bench")
        relay = Relay(state, publisher, poll=LOOK_SECONDS)
        await publisher.check()
        await relay.subscribe()
        async with log.subscribe("bench") as deliveries:
            await fill(state, events)
            cpu = time.process_time()
            relayed = await relay_all(relay, events)
            middle = time.process_time()
            read = await read_all(deliveries, events, tasks)
            end = time.process_time()
        await state.close()
    tell("relay", events, relayed, middle - cpu)
    tell(f"consumer of {tasks} tasks", events, read, end - middle)


def tell(what: str, events: int, seconds: float, cpu: float) -> None:
    print(f"{what}: {events / seconds:,.0f} events/s, {cpu / events * 1e6:.0f} us CPU an event")


def main(
    kafka: Annotated[str, typer.Option(help="HOST:PORT of a Kafka without a name.")] = "",
    pulsar: Annotated[str, typer.Option(help="URL of a Pulsar.")] = "",
    events: int = 100_000,
    tasks: int = 16,
) -> None:
    """Measure what is named, one after the other; the topics stay."""
    name = f"bench-{uuid.uuid4().hex[:12]}"
    if kafka:
        options = KafkaOptions((kafka,), name)
        asyncio.run(measure(KafkaLog(options), KafkaPublisher(options), events, tasks))
    if pulsar:
        there = PulsarOptions(pulsar, f"persistent://public/default/{name}")
        asyncio.run(measure(PulsarLog(there), PulsarPublisher(there), events, tasks))


if __name__ == "__main__":
    typer.run(main)
