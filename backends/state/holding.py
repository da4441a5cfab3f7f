"""A lease held for as long as a block runs."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from backends.errors import Busy
from backends.state.protocol import StateStore

LEASE: Final = 60_000
RENEWALS: Final = 3


class HeldElsewhere(Busy):
    """Another process has the lease."""


def new_holder() -> str:
    """A name that no other holder of leases has; it begins with the process's number."""
    return f"{os.getpid()}-{uuid.uuid4().hex}"


@asynccontextmanager
async def holding(state: StateStore, name: str, *, lease: int = LEASE) -> AsyncIterator[None]:
    """Hold the lease of that name while the block runs. HeldElsewhere where another has it.

    `lease` is in milliseconds: after a crash, others wait for so long at the most.
    """
    holder = new_holder()
    if not await state.acquire(name, holder, lease=lease):
        raise HeldElsewhere(f"another process has the lease {name}")
    renewing = asyncio.create_task(_renew(state, name, holder, lease))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await state.acquire(name, holder, lease=0)


async def _renew(state: StateStore, name: str, holder: str, lease: int) -> None:
    while True:
        await asyncio.sleep(lease / 1000 / RENEWALS)
        await state.acquire(name, holder, lease=lease)
