"""The state that a command works on by itself, beside a gateway or without one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from backends.state.protocol import StateStore
from s3proxy.app import grounds
from s3proxy.config import Settings

T = TypeVar("T")


def with_state(settings: Settings, work: Callable[[StateStore], Coroutine[Any, Any, T]]) -> T:
    """What `work` answers of the state store that the settings name."""

    async def run() -> T:
        async with grounds(settings) as (state, _):
            return await work(state)

    return asyncio.run(run())
