"""Bytes read again, to the end, and compared with what their rows say of them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from backends.bounded import bounded
from backends.errors import BackendError, BucketNotFound, Corrupt, NotFound, Unavailable
from backends.model import Facts, Row
from reconcile.storages.comparing import Difference, Ground, Kind, remains, what_is_wrong

AT_ONCE: Final = 8
BATCH_BYTES: Final = 32 * 1024 * 1024
IN_A_THREAD: Final = 64 * 1024


class Proof(Protocol):
    """Grows with the bytes of an object, in their order."""

    def update(self, block: bytes) -> None: ...

    def require(self, what: str) -> None:
        """Return if that was all, and right. Corrupt."""


Prove = Callable[[Facts], Proof]


async def proved(
    ground: Ground, rows: Sequence[Row], prove: Prove, wrong: list[Difference]
) -> AsyncGenerator[int, None]:
    """Read all; the bytes that were read since the last time, now and then.

    What turns out not to be right is added to `wrong`.
    """
    for batch in _batches(rows):
        if len(batch) == 1:
            async with aclosing(_object(ground, batch[0], prove, wrong)) as moved:
                async for amount in moved:
                    yield amount
            continue

        async def read(row: Row) -> None:
            async for _ in _object(ground, row, prove, wrong):
                pass

        await bounded(read, batch, at_once=AT_ONCE)
        yield sum(row.facts.size for row in batch)


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows whose bytes together are not too many, or one alone."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and size + row.facts.size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.facts.size
    if batch:
        yield batch


async def _object(
    ground: Ground, row: Row, prove: Prove, wrong: list[Difference]
) -> AsyncGenerator[int, None]:
    """One object: the bytes that were read, whenever they are many."""
    proof, since = prove(row.facts), 0
    try:
        body = await ground.store.get(row.bucket, row.key, row.locator)
        async with aclosing(body):
            async for block in body:
                await _update(proof, block)
                since += len(block)
                if since >= BATCH_BYTES:
                    yield since
                    since = 0
        proof.require(f"{row.bucket}/{row.key}")
    except (Unavailable, BucketNotFound):
        raise
    except (NotFound, Corrupt) as error:
        wrong.extend(await _confirmed(ground, row, str(error)))
    except BackendError as error:
        wrong.append(Difference(Kind.UNREADABLE, row.key, row, None, str(error)))
    yield since


async def _update(proof: Proof, block: bytes) -> None:
    if len(block) < IN_A_THREAD:
        proof.update(block)
    else:
        await asyncio.to_thread(proof.update, block)


async def _confirmed(ground: Ground, row: Row, detail: str) -> list[Difference]:
    """The difference, where the row is still the newest: else a client has written."""
    kind = await what_is_wrong(ground.store, row) or Kind.DIGEST
    if not await remains(ground, row):
        return []
    return [Difference(kind, row.key, row, None, detail)]
