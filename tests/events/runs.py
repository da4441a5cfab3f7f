"""Runs of events, and what consumers make of them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from backends.events.protocol import Delivery
from backends.model import Event, Version

SECONDS = 60
Deliveries = AsyncIterator[Delivery]


def event(key: str, stamp: int = 1) -> Event:
    return Event("ObjectCreated:Put", "photos", key, Version(stamp, "here"))


def run_of(*keys: str) -> list[Event]:
    """Changes of the objects, one after the other."""
    return [event(key, stamp) for stamp, key in enumerate(keys, start=1)]


def by_key(events: Sequence[Event]) -> dict[str, list[Version]]:
    found = defaultdict(list)
    for one in events:
        found[one.key].append(one.version)
    return dict(found)


def without_repeats(events: Sequence[Event]) -> dict[str, list[Version]]:
    """What of each object is new to one who passes over all that is not above what came before."""
    found = by_key(events)
    return {
        key: [one for at, one in enumerate(seen) if one > max(seen[:at], default=Version(0, ""))]
        for key, seen in found.items()
    }


async def receive(deliveries: Deliveries, count: int) -> list[Delivery]:
    async with asyncio.timeout(SECONDS):
        return [await anext(deliveries) for _ in range(count)]


async def drain(deliveries: Deliveries, into: list[Event]) -> None:
    """Do all that comes, until the block ends."""
    async for delivery in deliveries:
        into.append(delivery.event)
        await delivery.acknowledge()


async def holds(into: Sequence[Event], events: Sequence[Event]) -> None:
    """Until all of these were done."""
    async with asyncio.timeout(SECONDS):
        while not {*into} >= {*events}:
            await asyncio.sleep(0.02)
