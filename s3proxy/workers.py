"""Work that goes on beside the requests: dropping bytes, settling what crashes left."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from backends.errors import BackendError
from backends.state.holding import HeldElsewhere, holding, new_holder
from backends.state.protocol import StateStore
from backends.storage.layers.buffered import Buffered
from reconcile.expiry import Expiry
from s3proxy.gateway.recovery import Recovery

RECOVERY: Final = "recovery"
EXPIRY: Final = "expiry"
PAUSE_SECONDS: Final = 5.0

log: Final = structlog.get_logger("workers")


@asynccontextmanager
async def running(works: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run the workers while the block runs."""
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work) for work in works]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()


async def flush(buffer: Buffered) -> None:
    """Run a buffer's worker, also after a failure of the buffer's own disk, until cancelled."""
    while True:
        try:
            await buffer.run()
        except* BackendError as errors:
            log.warning("a buffer's worker will start again", error=str(errors.exceptions[0]))
        await asyncio.sleep(PAUSE_SECONDS)


async def recover(recovery: Recovery, state: StateStore, seconds: float) -> None:
    """Settle what is due, in one process of the site at a time, until cancelled."""
    holder = new_holder()
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


async def expire(expiry: Expiry, state: StateStore, seconds: float) -> None:
    """End what is due, in one process of the site at a time, until cancelled."""
    while True:
        try:
            async with holding(state, EXPIRY):
                await expiry.run()
        except HeldElsewhere:
            log.debug("another process looks for what expired")
        except BackendError as error:
            log.warning("expiry will try again", error=str(error), seconds=seconds)
        await asyncio.sleep(seconds)
