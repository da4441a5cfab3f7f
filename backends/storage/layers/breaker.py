"""A circuit breaker and time limits: a storage that is down costs its callers no waiting.

After so many failures in a row the circuit opens: calls fail at once. After a pause one call is
let through; if it succeeds the circuit closes, else the pause begins again (Nygard, Release It!).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from types import TracebackType

from backends.errors import BackendError, NoSpace, Unavailable, Unreached
from backends.storage.layers.watched import Watched
from backends.storage.pieces import Whole
from backends.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class Limits:
    """`failures` in a row open the circuit for `pause_seconds`.

    A verb without a body may take `call_seconds`; in a body on its way out no block may take
    longer than `block_seconds`.
    """

    failures: int = 8
    pause_seconds: float = 5.0
    call_seconds: float = 60.0
    block_seconds: float = 60.0


class Circuit:
    """The frame of a storage behind a breaker."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._failures = 0
        self._opened = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._failures >= self._limits.failures

    def call(self, verb: str) -> AbstractAsyncContextManager[None]:
        return Passage(self, verb, asyncio.timeout(self._limits.call_seconds))

    def carry(self, verb: str) -> AbstractAsyncContextManager[None]:
        return Passage(self, verb, None)

    async def inward(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for block in blocks:
            yield block

    def outward(
        self, verb: str, blocks: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        return blocks if isinstance(blocks, Whole) else self._outward(verb, blocks)

    async def _outward(
        self, verb: str, blocks: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(blocks):
            while True:
                try:
                    async with asyncio.timeout(self._limits.block_seconds):
                        block = await anext(blocks, None)
                except TimeoutError as error:
                    self.failed()
                    raise Unavailable(f"{verb}: the storage stopped in the middle") from error
                except Unavailable:
                    self.failed()
                    raise
                if block is None:
                    return
                yield block

    def enter(self, verb: str) -> bool:
        """Whether this call probes an open circuit. Unreached where it may not."""
        if not self.is_open:
            return False
        left = self._opened + self._limits.pause_seconds - self._now()
        if left > 0 or self._probing:
            raise Unreached(f"{verb}: the storage is down; asked again in {max(left, 1):.0f} s")
        self._probing = True
        return True

    def leave(self, error: BaseException | None, *, probing: bool) -> None:
        """Learn how a call ended; an error that is none of ours says nothing of the storage."""
        if isinstance(error, Unavailable) and not isinstance(error, NoSpace):
            self.failed()
        elif error is None or isinstance(error, BackendError):
            self._failures = 0
        if probing:
            self._probing = False

    def failed(self) -> None:
        self._failures += 1
        self._opened = self._now()


class Passage:
    """One call through a circuit, which may take as long as `limit` says."""

    __slots__ = ("_circuit", "_limit", "_probing", "_verb")

    def __init__(self, circuit: Circuit, verb: str, limit: asyncio.Timeout | None) -> None:
        self._circuit = circuit
        self._verb = verb
        self._limit = limit
        self._probing = False

    async def __aenter__(self) -> None:
        self._probing = self._circuit.enter(self._verb)
        if self._limit:
            await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        late: Unavailable | None = None
        try:
            if self._limit:
                await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            late = Unavailable(f"{self._verb}: the storage did not answer in time")
            late.__cause__ = expired
        self._circuit.leave(late or error, probing=self._probing)
        if late:
            raise late


class Breaker(Watched):
    """Fails fast while its storage is down. `circuit` tells whether it is."""

    def __init__(
        self, inner: ObjectStore, limits: Limits, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.circuit = Circuit(limits, now)
        super().__init__(inner, self.circuit)
