"""Work on many things at once, but not on all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def bounded(
    work: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int
) -> list[R]:
    """What `work` answers for each item, in their order; at most `at_once` are under way.

    All are tried; the first error is raised when the last has ended.
    """
    window = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with window:
            return await work(item)

    ended = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
    answers: list[R] = []
    for answer in ended:
        if isinstance(answer, BaseException):
            raise answer
        answers.append(answer)
    return answers


async def windowed(
    work: Callable[[T], Awaitable[R]], items: AsyncIterator[T], *, at_once: int
) -> list[R]:
    """As `bounded`, for items that take memory: no more than `at_once` are taken and not done.

    The first error, of an item or of its work, ends all.
    """
    window = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        try:
            return await work(item)
        finally:
            window.release()

    under_way: list[asyncio.Task[R]] = []
    try:
        async with asyncio.TaskGroup() as group:
            await window.acquire()
            async for item in items:
                under_way.append(group.create_task(one(item)))
                del item
                await window.acquire()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [done.result() for done in under_way]
