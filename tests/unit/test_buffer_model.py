"""A buffer against a dictionary: any writes, failures, restarts and flushes, in any order."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import NotFound, Unavailable
from tests.unit.unsteady import BUCKET, House, build, read

KEYS = st.sampled_from(["a", "b", "c/d"])
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.binary(max_size=20)),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("copy"), KEYS, KEYS),
    st.tuples(st.sampled_from(["fail", "heal", "flush", "wait", "restart"])),
)


class Model:
    """What the keys must hold, beside the buffer that is told the same."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.wanted: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes) -> None:
        await self.house.put(key, data)
        self.wanted[key] = data

    async def delete(self, key: str) -> None:
        await self.house.store.delete(BUCKET, key)
        self.wanted.pop(key, None)

    async def copy(self, key: str, to: str) -> None:
        """A copy of what only the storage has fails while that is down."""
        store = self.house.store
        try:
            locator = (await store.head(BUCKET, key)).locator
            await store.copy(BUCKET, key, locator, BUCKET, to, self.house.facts())
        except NotFound:
            assert key not in self.wanted
        except Unavailable:
            assert self.house.faults.error
        else:
            self.wanted[to] = self.wanted[key]

    async def fail(self) -> None:
        self.house.faults.error = Unavailable("down")

    async def heal(self) -> None:
        self.house.faults.error = None

    async def flush(self) -> None:
        await self.house.store.flush_due()

    async def wait(self) -> None:
        self.house.wall.seconds += 400

    async def restart(self) -> None:
        await self.house.again()

    async def check(self) -> None:
        """Read through a storage that answers for as long as that takes."""
        self.house.faults.error, error = None, self.house.faults.error
        assert await self.house.keys() == sorted(self.wanted)
        for key, data in self.wanted.items():
            found = await self.house.store.head(BUCKET, key)
            assert await self.house.get(key, found.locator) == data
        self.house.faults.error = error


async def follow(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Model(await build(Path(folder)))
        for name, *arguments in steps:
            await getattr(model, name)(*arguments)
            await model.check()
        for name in ("heal", "wait", "flush"):
            await getattr(model, name)()
        assert model.house.store.totals().entries == 0
        stored = {one.key async for one in model.house.storage.listing(BUCKET)}
        assert stored == model.wanted.keys()
        for key, data in model.wanted.items():
            assert await read(model.house.storage, key) == data
        await model.house.store.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_it_holds_what_was_written_last(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(follow(steps))
