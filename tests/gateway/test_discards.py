"""Bytes that no row names are dropped soon, and not forgotten where the storage fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backends.errors import Unavailable
from backends.storage.local import LocalStore
from s3proxy.gateway.discards import Discards
from tests.gateway.conftest import FACTS, LEASE, Body, House

LARGE = bytes(100_000)


@asynccontextmanager
async def running(discards: Discards) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(discards.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def gone(house: House) -> None:
    """Return when the storage has no segment left."""
    async with asyncio.timeout(10):
        while house.segments():
            await asyncio.sleep(0.01)


async def test_what_was_replaced_or_removed_is_dropped(house: House) -> None:
    async with running(house.discards):
        await house.objects.put("photos", "cat", Body(LARGE), FACTS, "1")
        await house.objects.put("photos", "cat", Body(LARGE), FACTS, "2")
        await house.objects.delete("photos", "cat", "3")

        await gone(house)


async def test_a_storage_that_fails_stops_neither_the_worker_nor_the_dropping(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = []

    async def fail(self: LocalStore, bucket: str, key: str, locator: str = "") -> None:
        failures.append(locator)
        raise Unavailable("the storage is away")

    async with running(house.discards) as worker:
        await house.objects.put("photos", "cat", Body(LARGE), FACTS, "1")
        with monkeypatch.context() as patched:
            patched.setattr(LocalStore, "delete", fail)
            await house.objects.delete("photos", "cat", "2")
            async with asyncio.timeout(10):
                while not failures:
                    await asyncio.sleep(0.01)
            house.ahead = LEASE + 1
            with pytest.raises(Unavailable):
                await house.recovery.run()
        assert not worker.done()
        await house.recovery.run()

    assert house.segments() == []
