"""A circuit that opens, and closes by itself, on a clock that the test sets."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from backends.errors import BackendError, Busy, NoSpace, NotFound, Unavailable, Unreached
from backends.storage.layers.breaker import Breaker, Circuit, Limits
from backends.storage.memory import MemoryStore

LIMITS = Limits(failures=3, pause_seconds=5.0, call_seconds=30.0, block_seconds=30.0)


class Unsteady(MemoryStore):
    """A store that can be told how to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BackendError | None = None
        self.calls = 0
        self.stalls = asyncio.Event()
        self.stalls.set()

    async def ping(self) -> None:
        self.calls += 1
        await self.stalls.wait()
        if self.error:
            raise self.error


class Wall:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store() -> Unsteady:
    return Unsteady()


@pytest.fixture
def wall() -> Wall:
    return Wall()


async def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable):
            await breaker.ping()


@pytest.mark.parametrize("error", [Unavailable("down"), Busy("slow down")])
async def test_failures_in_a_row_open_it_and_a_success_after_the_pause_closes_it(
    store: Unsteady, wall: Wall, error: BackendError
) -> None:
    breaker = Breaker(store, LIMITS, wall)
    store.error = error
    await fail(breaker, 3)
    assert breaker.circuit.is_open

    await fail(breaker, 10)
    assert store.calls == 3
    with pytest.raises(Unreached):
        await breaker.ping()
    wall.seconds += 5
    store.error = None
    await breaker.ping()

    assert not breaker.circuit.is_open
    await breaker.ping()


async def test_a_probe_that_fails_begins_the_pause_again(store: Unsteady, wall: Wall) -> None:
    breaker = Breaker(store, LIMITS, wall)
    store.error = Unavailable("down")
    await fail(breaker, 3)
    wall.seconds += 5

    await fail(breaker, 5)

    assert store.calls == 4


async def test_only_one_call_probes(store: Unsteady, wall: Wall) -> None:
    breaker = Breaker(store, LIMITS, wall)
    store.error = Unavailable("down")
    await fail(breaker, 3)
    wall.seconds += 5
    store.error = None
    store.stalls.clear()
    probe = asyncio.create_task(breaker.ping())
    while store.calls < 4:
        await asyncio.sleep(0)

    await fail(breaker, 1)
    store.stalls.set()
    await probe

    assert not breaker.circuit.is_open


@pytest.mark.parametrize("error", [NotFound("none"), NoSpace("full")])
async def test_an_answer_is_no_failure(store: Unsteady, wall: Wall, error: BackendError) -> None:
    breaker = Breaker(store, LIMITS, wall)
    store.error = error

    for _ in range(10):
        with pytest.raises(type(error)):
            await breaker.ping()

    assert store.calls == 10


async def test_a_call_that_takes_too_long_is_given_up(store: Unsteady) -> None:
    breaker = Breaker(store, Limits(call_seconds=0.01))
    store.stalls.clear()

    with pytest.raises(Unavailable, match="in time"):
        await breaker.ping()


async def test_a_body_that_stands_still_is_given_up() -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield b"first"
        await asyncio.Event().wait()

    circuit = Circuit(Limits(block_seconds=0.01))
    flowing = circuit.outward("get", body())

    assert await anext(flowing) == b"first"
    with pytest.raises(Unavailable, match="middle"):
        await anext(flowing)
