"""Group commit over a database that is asked: what waits together goes together."""

import asyncio
from collections.abc import Sequence

import pytest

from backends.errors import Refused, Unavailable
from backends.state.postgres.lanes import Lane


class Server:
    """Answers each number with its double, once it is let; remembers what came together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()

    async def answer(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(numbers))
        await self.open.wait()
        if 13 in numbers:
            raise Refused("no such number")
        if 666 in numbers:
            raise Unavailable("gone")
        return [2 * number for number in numbers]


@pytest.fixture
async def server() -> Server:
    return Server()


async def waiting(lane: Lane[int, int], numbers: Sequence[int]) -> "list[asyncio.Task[int]]":
    """Tasks that have asked."""
    tasks = [asyncio.create_task(lane.ask(number)) for number in numbers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_a_batch_is_under_way_is_the_next_batch(server: Server) -> None:
    lane = Lane(server.answer, abreast=1)
    asked = await waiting(lane, [1])
    asked += await waiting(lane, [2, 3, 4])
    server.open.set()

    assert await asyncio.gather(*asked) == [2, 4, 6, 8]
    assert server.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_a_size_and_order_is_kept(server: Server) -> None:
    server.open.set()
    lane = Lane(server.answer, abreast=1, size=2)

    assert await asyncio.gather(*map(lane.ask, range(5))) == [0, 2, 4, 6, 8]
    assert server.batches == [[0, 1], [2, 3], [4]]


async def test_so_many_batches_are_under_way_at_once(server: Server) -> None:
    lane = Lane(server.answer, abreast=2)
    asked: list[asyncio.Task[int]] = []
    for number in range(4):
        asked += await waiting(lane, [number])
    server.open.set()
    await asyncio.gather(*asked)

    assert server.batches == [[0], [1], [2, 3]]


async def test_a_lane_that_has_rested_starts_again(server: Server) -> None:
    server.open.set()
    lane = Lane(server.answer, abreast=1)

    for number in range(3):
        assert await lane.ask(number) == 2 * number


async def test_what_is_refused_is_refused_alone(server: Server) -> None:
    server.open.set()
    lane = Lane(server.answer, abreast=1)

    answers = await asyncio.gather(*map(lane.ask, (1, 13, 3)), return_exceptions=True)

    assert (answers[0], answers[2]) == (2, 6)
    assert isinstance(answers[1], Refused)


async def test_a_broken_connection_breaks_its_batch_alone(server: Server) -> None:
    server.open.set()
    lane = Lane(server.answer, abreast=1, size=2)

    answers = await asyncio.gather(*map(lane.ask, (1, 666, 3)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unavailable, Unavailable, int]


async def test_who_is_cancelled_is_told_so_once_the_write_has_ended(server: Server) -> None:
    lane = Lane(server.answer, abreast=1)
    [asked] = await waiting(lane, [1])
    asked.cancel()
    await asyncio.sleep(0)
    assert not asked.done()
    server.open.set()

    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_finishing_waits_for_what_was_asked(server: Server) -> None:
    lane = Lane(server.answer, abreast=1)
    [asked] = await waiting(lane, [1])
    finishing = asyncio.create_task(lane.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    server.open.set()
    await finishing

    assert await asked == 2
