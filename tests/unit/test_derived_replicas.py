"""Changes of other sites where no database is: what lies in the storage is the newest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.errors import BucketNotFound, NotSupported, Superseded
from backends.model import Bucket, Facts, Row, Version
from backends.state.derived import DerivedState
from backends.state.protocol import Committed
from backends.storage.memory import MemoryStore
from backends.storage.reserved import RESERVED
from backends.storage.source import BytesSource

FIRST, SECOND, THIRD = (Version(stamp, "west") for stamp in (10, 20, 30))
LEASE = 60_000


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    opened = MemoryStore(keeps_replaced=False)
    await opened.create_bucket(Bucket("photos", "ann", 0))
    yield opened
    await opened.close()


@pytest.fixture
def state(store: MemoryStore, tmp_path: Path) -> DerivedState:
    return DerivedState(store, tmp_path / "keys.json", site="here", owner="main")


async def stored(store: MemoryStore, version: Version) -> None:
    await store.put("photos", "cat", BytesSource(b"meow", Facts(version, 4, "etag", "ann")))


async def test_the_newest_is_what_lies_in_the_storage(
    state: DerivedState, store: MemoryStore
) -> None:
    assert await state.newest("photos", "cat") is None
    assert await state.newest("photos", f"{RESERVED}uploads/1") is None
    await stored(store, SECOND)

    assert await state.newest("photos", "cat") == await state.find("photos", "cat")
    with pytest.raises(BucketNotFound):
        await state.newest("nowhere", "cat")


async def test_a_replica_is_promised_under_its_own_version_unless_it_is_superseded(
    state: DerivedState, store: MemoryStore
) -> None:
    await stored(store, SECOND)

    for stale in (FIRST, SECOND):
        with pytest.raises(Superseded):
            await state.begin("photos", "cat", lease=LEASE, version=stale)
    intent = await state.begin("photos", "cat", lease=LEASE, version=THIRD)
    alone = await state.restamp(intent, lease=LEASE, alone=True)

    assert (intent.version, intent.begun, intent.replica) == (THIRD, THIRD, True)
    assert (alone.version, alone.alone) == (THIRD, True)


async def test_a_replica_whose_turn_comes_too_late_is_superseded(
    state: DerivedState, store: MemoryStore
) -> None:
    intent = await state.begin("photos", "cat", lease=LEASE, version=FIRST)
    await stored(store, SECOND)

    with pytest.raises(Superseded):
        await state.restamp(intent, lease=LEASE, alone=True)


async def test_a_tombstone_is_the_delete_that_has_been(
    state: DerivedState, store: MemoryStore
) -> None:
    tombstone = Row("photos", "cat", Facts(SECOND), deleted=True)

    assert await state.commit(tombstone, None, overwrote=True) == Committed(won=True, row=tombstone)

    assert await state.newest("photos", "cat") is None


async def test_without_a_database_no_row_gets_other_bytes(
    state: DerivedState, store: MemoryStore
) -> None:
    await stored(store, SECOND)

    with pytest.raises(NotSupported):
        await state.begin("photos", "cat", lease=LEASE, version=SECOND, again=True)
