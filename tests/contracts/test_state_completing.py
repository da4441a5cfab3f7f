"""Rows that only a listing told of are complete when they are read, whatever keeps them."""

import dataclasses

import pytest
from msgspec.structs import replace

from backends.errors import Busy, NotFound
from backends.model import Facts, Precondition, Row, Version
from backends.state.completing import Completing
from backends.state.protocol import StateStore
from backends.storage.addresses import Address, written
from backends.storage.layers.forwarding import Forwarding
from backends.storage.memory import MemoryStore
from backends.storage.protocol import Stored
from backends.storage.source import BytesSource
from tests.contracts.state_stores import BUCKET

WRITTEN = Version(1_700_000_000_000 << 16, "")
FACTS = Facts(
    WRITTEN, 4, "etag", headers={"content-type": "text/plain"}, metadata={"colour": "grey"}
)
LISTED = Facts(WRITTEN, 4, "etag", "main", metadata={"from": "attic"}, listed=True)
NEW = Precondition(none_match="*")


@pytest.fixture
async def store(state: StateStore) -> MemoryStore:
    found = MemoryStore(keeps_replaced=False)
    await found.create_bucket(await state.bucket(BUCKET))
    return found


async def adopted(state: StateStore, store: MemoryStore, key: str) -> Row:
    """An object of another program, as the state has it from a listing."""
    stored = await store.put(BUCKET, key, BytesSource(b"meow", FACTS))
    row = Row(BUCKET, key, LISTED, stored.locator)
    assert (await state.commit(row, None, condition=NEW)).won
    return row


async def test_all_is_known_when_it_is_read_and_kept(state: StateStore, store: MemoryStore) -> None:
    listed = [await adopted(state, store, key) for key in "abc"]
    completing = Completing(state, store)
    expected = [
        replace(
            row,
            facts=replace(
                FACTS,
                version=Version(WRITTEN.stamp + 1, ""),
                owner="main",
                metadata={"colour": "grey", "from": "attic"},
            ),
        )
        for row in listed
    ]

    assert await completing.find(BUCKET, "a") == expected[0]
    assert await completing.newest(BUCKET, "b") == expected[1]
    assert await completing.inventory(BUCKET, after="", limit=10) == expected
    assert await state.inventory(BUCKET, after="", limit=10) == expected


async def test_what_clients_did_meanwhile_is_told(state: StateStore, store: MemoryStore) -> None:
    for key in "ab":
        await adopted(state, store, key)
    newer = Row(BUCKET, "a", Facts(Version(WRITTEN.stamp + 9, "here"), 1, "new", "main"), "77")
    await state.commit(newer, None, overwrote=True)
    await state.bury(BUCKET, "b", "ObjectRemoved:Delete", "1")
    completing = Completing(state, store)

    assert await completing.find(BUCKET, "a") == newer
    with pytest.raises(NotFound):
        await completing.find(BUCKET, "b")
    found = await completing.newest(BUCKET, "b")
    assert found
    assert found.deleted


async def test_bytes_that_are_gone_leave_the_row_as_it_is(
    state: StateStore, store: MemoryStore
) -> None:
    row = await adopted(state, store, "a")
    await store.delete(BUCKET, "a")

    assert await Completing(state, store).find(BUCKET, "a") == row


async def test_nothing_is_told_while_other_bytes_are_being_written(
    state: StateStore, store: MemoryStore
) -> None:
    await adopted(state, store, "a")
    await state.begin(BUCKET, "a", lease=60_000, alone=True)
    await store.put(BUCKET, "a", BytesSource(b"new", FACTS))

    with pytest.raises(Busy):
        await Completing(state, store).find(BUCKET, "a")


class Moving(Forwarding):
    """A bucket on its way to another storage, which has newer bytes that nobody has committed."""

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        found = await super().head(bucket, key, version)
        return dataclasses.replace(found, locator=written(Address("far", found.locator), "near"))


async def test_bytes_of_another_storage_are_no_reason_to_change_a_row(
    state: StateStore, store: MemoryStore
) -> None:
    row = await adopted(state, store, "a")
    completing = Completing(state, Moving(store))

    with pytest.raises(Busy):
        await completing.find(BUCKET, "a")
    assert await completing.inventory(BUCKET, after="", limit=10) == [row]


async def test_a_listed_row_is_no_reason_to_replace_another(
    state: StateStore, store: MemoryStore
) -> None:
    listed = await adopted(state, store, "a")
    again = await state.commit(listed, None)
    older = await state.commit(
        replace(listed, facts=replace(LISTED, version=Version(WRITTEN.stamp - 1, ""))), None
    )

    assert (again.won, older.won) == (True, False)
    assert await state.find(BUCKET, "a") == listed
