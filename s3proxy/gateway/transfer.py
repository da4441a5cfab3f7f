"""One stream from another site, into our storage and to the caller who waits for it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, NamedTuple

from backends.errors import BackendError, Corrupt
from backends.model import Checksum
from s3proxy.gateway.elsewhere import Remote
from s3proxy.gateway.proof import Proof

BLOCKS_AHEAD: Final = 4


class Passed(NamedTuple):
    """A block, and what is proved of the object with it."""

    block: bytes
    proof: Proof


class Channel:
    """Blocks from one task to another, a few ahead; the reader may leave before the end."""

    def __init__(self, most: int = BLOCKS_AHEAD) -> None:
        self._most = most
        self._blocks: deque[Passed] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._left = False

    async def give(self, passed: Passed) -> None:
        """Hand a block over, when there is room; nothing happens where nobody reads."""
        while len(self._blocks) >= self._most and not self._left:
            await self._change()
        if not self._left:
            self._blocks.append(passed)
            self._notify()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._notify()

    def leave(self) -> None:
        """Nobody reads any more."""
        self._left = True
        self._blocks.clear()
        self._notify()

    async def __aiter__(self) -> AsyncIterator[Passed]:
        while True:
            while self._blocks:
                passed = self._blocks.popleft()
                self._notify()
                yield passed
            if self._ended:
                return
            await self._change()

    async def _change(self) -> None:
        changed = self._changed
        await changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Transfer:
    """As Incoming. The last block goes nowhere before the bytes are known to be right.

    `listened`: a caller reads `served`, and the transfer goes no faster than that until it leaves.
    """

    def __init__(self, remote: Remote, *, listened: bool = False) -> None:
        self._remote = remote
        self._channel = Channel() if listened else None
        self.size: int | None = remote.facts.size
        self.received = 0
        self.failed: BackendError | None = None

    @property
    def etag(self) -> str:
        return self._remote.facts.etag

    @property
    def checksum(self) -> Checksum | None:
        return self._remote.facts.checksum

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(proved(self._remote, 0, Proof(self._remote.facts))) as blocks:
            async for passed in blocks:
                self.received += len(passed.block)
                if self._channel:
                    await self._channel.give(passed)
                yield passed.block

    async def served(self) -> AsyncGenerator[bytes, None]:
        """The same bytes; those that our storage did not take come from the sites alone."""
        sent = 0
        proof = Proof(self._remote.facts)
        if self._channel:
            async for passed in self._channel:
                sent, proof = sent + len(passed.block), passed.proof
                yield passed.block
        if isinstance(self.failed, Corrupt):
            raise self.failed
        if sent < self._remote.facts.size:
            async with aclosing(proved(self._remote, sent, proof)) as blocks:
                async for passed in blocks:
                    yield passed.block

    def leave(self) -> None:
        """The caller is gone: go on without."""
        if self._channel:
            self._channel.leave()

    def end(self, failed: BackendError | None = None) -> None:
        """The transfer is over; where it failed, why."""
        self.failed = failed
        if self._channel:
            self._channel.end()


async def proved(remote: Remote, start: int, proof: Proof) -> AsyncGenerator[Passed, None]:
    """The object from `start` on, where `proof` has what is before it. Corrupt.

    The last block is withheld until the whole is known to be right.
    """
    held = b""
    async with aclosing(remote.read(start, remote.facts.size - start)) as blocks:
        async for block in blocks:
            if held:
                yield Passed(held, proof.copy())
            proof.update(block)
            held = block
    proof.require(f"{remote.bucket}/{remote.key}")
    if held:
        yield Passed(held, proof)
