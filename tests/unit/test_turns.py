"""Writers of one key take turns, whatever becomes of those that wait."""

import asyncio

import pytest

from s3proxy.gateway.leases import Turns

PLACE = ("photos", "cat")


async def writer(turns: Turns, name: str, order: list[str], until: asyncio.Event) -> None:
    await turns.take(*PLACE)
    try:
        order.append(name)
        await until.wait()
    finally:
        turns.leave(*PLACE)


async def start(turns: Turns, order: list[str], until: asyncio.Event) -> list[asyncio.Task[None]]:
    """Writers a, b and c, of whom a has its turn."""
    tasks = [asyncio.create_task(writer(turns, name, order, until)) for name in "abc"]
    await asyncio.sleep(0)
    assert order == ["a"]
    return tasks


async def test_writers_come_in_their_order_one_at_a_time() -> None:
    turns, until = Turns(), asyncio.Event()
    order: list[str] = []
    tasks = await start(turns, order, until)
    until.set()
    await asyncio.gather(*tasks)

    assert order == ["a", "b", "c"]
    await asyncio.wait_for(turns.take(*PLACE), 1)


async def test_other_keys_do_not_wait() -> None:
    turns = Turns()
    await turns.take(*PLACE)

    await asyncio.wait_for(turns.take("photos", "dog"), 1)


@pytest.mark.parametrize("handed_over", [True, False])
async def test_who_stops_waiting_stops_nobody(*, handed_over: bool) -> None:
    turns, until = Turns(), asyncio.Event()
    order: list[str] = []
    first, second, third = await start(turns, order, until)
    if handed_over:  # its turn has come, and it has not run since
        first.cancel()
        await asyncio.sleep(0)
    second.cancel()
    until.set()
    await asyncio.wait([first, second, third])

    assert order == ["a", "c"]
    assert second.cancelled()
    await asyncio.wait_for(turns.take(*PLACE), 1)
