"""Blocking calls in threads, without leaving one behind."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def acquired(acquire: Callable[[], T], release: Callable[[T], object]) -> T:
    """What `acquire` returns, computed in a thread; released again if the caller is cancelled."""
    running = asyncio.ensure_future(asyncio.to_thread(acquire))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if running.exception() is None:
            release(running.result())
        raise


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns, computed in a thread.

    A caller that is cancelled waits for the thread to end before it is told, so that what the
    thread uses (an open file) can be closed safely.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
