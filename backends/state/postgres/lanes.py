"""Group commit: questions of one kind that wait together are one statement."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from backends.errors import Refused

Q = TypeVar("Q")
A = TypeVar("A")

# A transaction locks the key of each of its writes, and a server has room for 64 locks a
# connection (max_locks_per_transaction).
SIZE: Final = 50


@dataclass(slots=True)
class Waiting(Generic[Q, A]):
    """A question and where its answer goes."""

    question: Q
    answer: "asyncio.Future[A]"


class Lane(Generic[Q, A]):
    """Asks `together`, which answers in the order of its questions, up to `abreast` times at once.

    A question that the database refuses is refused alone: the others are then asked one by one.
    """

    def __init__(
        self,
        together: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        *,
        abreast: int,
        size: int = SIZE,
    ) -> None:
        self._together = together
        self._free = abreast
        self._size = size
        self._waiting: deque[Waiting[Q, A]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """The answer. A caller that is cancelled is told so once the answer is there."""
        waiting: Waiting[Q, A] = Waiting(question, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._free:
            self._free -= 1
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(waiting.answer)
        except asyncio.CancelledError:
            await asyncio.wait([waiting.answer])
            raise

    async def finish(self) -> None:
        """Return when everything asked is answered."""
        while self._running:
            await asyncio.wait(self._running)

    async def _run(self) -> None:
        """Ask until nothing waits; what came since the last answer is one batch."""
        while self._waiting:
            count = min(len(self._waiting), self._size)
            await self._ask([self._waiting.popleft() for _ in range(count)])
        self._free += 1

    async def _ask(self, batch: Sequence[Waiting[Q, A]]) -> None:
        try:
            answers = await self._together([waiting.question for waiting in batch])
        except Refused as error:
            await self._one_by_one(batch, error)
        except Exception as error:  # is theirs who asked, whatever it is
            for waiting in batch:
                waiting.answer.set_exception(error)
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                waiting.answer.set_result(answer)

    async def _one_by_one(self, batch: Sequence[Waiting[Q, A]], error: Refused) -> None:
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        for waiting in batch:
            await self._ask([waiting])
