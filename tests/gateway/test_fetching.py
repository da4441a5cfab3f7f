"""A simple gateway asks its storage once for an object that is wanted whole."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.errors import BucketNotFound, NotFound
from backends.model import Bucket, Row
from backends.state.derived import DerivedState
from backends.storage.layers.metered import Metered
from backends.storage.memory import MemoryStore
from backends.storage.reserved import RESERVED
from backends.storage.source import BytesSource
from s3proxy.gateway.discards import Discards
from s3proxy.gateway.objects import Objects, Reading, Span
from s3proxy.gateway.writes import Writes
from tests.gateway.conftest import FACTS, LEASE


class Calls:
    """A meter that remembers the verbs."""

    def __init__(self) -> None:
        self.verbs: list[str] = []

    def called(self, storage: str, verb: str, seconds: float, error: str) -> None:
        del storage, seconds, error
        self.verbs.append(verb)

    def moved(self, storage: str, *, inward: int = 0, outward: int = 0) -> None:
        """Bytes are not looked at here."""


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
async def objects(tmp_path: Path, calls: Calls) -> AsyncIterator[Objects]:
    store = Metered(MemoryStore(keeps_replaced=False), "test", calls)
    state = DerivedState(store, tmp_path / "keys.json", site="here", owner="main")
    discards = Discards(state, store)
    writes = Writes(state, store, discards, lease=LEASE)
    await store.create_bucket(Bucket("photos", "ann", 0))
    await store.put("photos", "cat", BytesSource(b"meow", replace(FACTS, size=4)))
    await state.bucket("photos")
    calls.verbs.clear()
    yield Objects(state, store, writes, discards, state.fetch)
    await store.close()


async def everything(reading: Reading) -> bytes:
    return b"".join([block async for block in reading.body])


async def test_a_whole_object_is_one_question(objects: Objects, calls: Calls) -> None:
    found = await objects.find("photos", "cat")
    calls.verbs.clear()

    reading = await objects.read("photos", "cat", lambda _: None, whole=True)

    assert await everything(reading) == b"meow"
    assert (reading.row, reading.span) == (found, None)
    assert calls.verbs == ["fetch"]


async def test_a_piece_is_decided_on_the_row_before_it_is_read(
    objects: Objects, calls: Calls
) -> None:
    def last_two(row: Row) -> Span:
        return Span(row.facts.size - 2, 2)

    reading = await objects.read("photos", "cat", last_two)

    assert await everything(reading) == b"ow"
    assert calls.verbs == ["head", "get"]


@pytest.mark.parametrize("key", ["dog", f"{RESERVED}uploads/1"])
async def test_what_is_not_there_or_is_ours_is_not_found(objects: Objects, key: str) -> None:
    with pytest.raises(NotFound):
        await objects.read("photos", key, lambda _: None, whole=True)


async def test_a_bucket_that_is_not_there_is_not_found(objects: Objects) -> None:
    with pytest.raises(BucketNotFound):
        await objects.read("films", "cat", lambda _: None, whole=True)
