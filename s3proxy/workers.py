"""Work that goes on beside the requests: dropping bytes, settling what crashes left."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from backends.errors import BackendError
from backends.state.protocol import StateStore
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.recovery import Recovery

RECOVERY: Final = "recovery"

log: Final = structlog.get_logger("workers")


@asynccontextmanager
async def running(
    discards: Discards, recovery: Recovery, state: StateStore, *, seconds: float
) -> AsyncIterator[None]:
    """Run the workers while the block runs; recovery looks up every so many seconds."""
    async with asyncio.TaskGroup() as group:
        workers = [
            group.create_task(discards.run()),
            group.create_task(recover(recovery, state, seconds)),
        ]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()


async def recover(recovery: Recovery, state: StateStore, seconds: float) -> None:
    """Settle what is due, in one process of the site at a time, until cancelled."""
    holder = f"{os.getpid()}-{uuid.uuid4().hex}"
    lease = int(seconds * 2000)
    while True:
        try:
            if await state.acquire(RECOVERY, holder, lease=lease):
                settled = await recovery.run()
                if settled:
                    log.info("settled what was left over", things=settled)
        except BackendError as error:
            log.warning("recovery will try again", error=str(error), seconds=seconds)
        await asyncio.sleep(seconds)
