"""Whole states: copied from one store into another, made again from a storage alone."""

from pathlib import Path

import pytest

from backends.errors import AlreadyExists, Busy, NotFound
from backends.model import AccessKey, Bucket, Facts, Part, Row, Upload
from backends.state.protocol import StateStore
from backends.state.rebuild import Rebuilt, rebuild
from backends.state.transfer import copy_state, tally_of
from backends.storage.local import LocalStore
from backends.storage.memory import MemoryStore
from backends.storage.protocol import ObjectStore
from backends.storage.source import BytesSource
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    Wall,
    commit,
    make_bucket,
    open_sqlite,
    put,
    row,
    version,
)

KEY = AccessKey("FIRST", "secret of the first", "main", NOON)
UPLOAD = Upload(BUCKET, "film", "upload-1", "token", NOON, "main", metadata={"name": "Tom"})
PART = Part(3, 10, "etag", NOON, "part token")


def unheard(bucket: str, rows: int) -> None:
    assert bucket
    assert rows >= 0


@pytest.fixture
async def source(tmp_path: Path) -> StateStore:
    """A state with a little of everything."""
    (tmp_path / "source").mkdir()
    state = await open_sqlite(tmp_path / "source", site="here", now=Wall())
    await make_bucket(state)
    await state.create_bucket(Bucket("films", "other", NOON, "eu-central-1", "far"))
    for number in range(30):
        await put(state, f"cat {number}")
    for number in range(0, 30, 7):
        await state.bury(BUCKET, f"cat {number}", "ObjectRemoved:Delete", "DELETE")
    await state.put_key(KEY)
    await state.create_upload(UPLOAD)
    await state.put_part(BUCKET, "film", "upload-1", PART)
    await state.subscribe("replicator")
    return state


@pytest.fixture
async def target(state: StateStore) -> StateStore:
    """An empty store of each kind."""
    await state.delete_bucket(BUCKET)
    return state


async def test_a_copy_tells_what_its_source_tells(source: StateStore, target: StateStore) -> None:
    tallies = await copy_state(source, target, unheard)

    assert {name: tally.rows for name, tally in tallies.items()} == {"films": 0, BUCKET: 30}
    assert await target.inventory(BUCKET, after="", limit=100) == await source.inventory(
        BUCKET, after="", limit=100
    )
    assert await target.bucket("films") == await source.bucket("films")
    assert await target.keys() == [KEY]
    assert await target.groups() == ["replicator"]
    assert await target.upload(BUCKET, "film", "upload-1") == UPLOAD
    assert await target.parts(BUCKET, "film", "upload-1") == [PART]
    assert await target.unread("replicator", after=0, limit=10) == []
    with pytest.raises(NotFound):
        await target.find(BUCKET, "cat 7")


async def test_a_copy_that_was_broken_off_is_finished_by_the_next(
    source: StateStore, target: StateStore
) -> None:
    await target.create_bucket(await source.bucket(BUCKET))
    for copied in await source.inventory(BUCKET, after="", limit=10):
        await target.commit(copied, None)

    await copy_state(source, target, unheard)
    again = await copy_state(source, target, unheard)

    assert again[BUCKET] == await tally_of(source, BUCKET) == await tally_of(target, BUCKET)


async def test_versions_go_on_above_those_that_were_copied(
    source: StateStore, target: StateStore
) -> None:
    late = row(version((NOON + 10**9) << 16))
    await commit(source, late)
    await source.acknowledge("replicator", 10**6)

    await copy_state(source, target, unheard)

    assert (await target.begin(BUCKET, "cat", lease=LEASE)).version > late.version


async def test_a_state_that_is_not_at_rest_is_not_copied(
    source: StateStore, target: StateStore
) -> None:
    promise = await source.begin(BUCKET, "cat", lease=LEASE)
    with pytest.raises(Busy, match="1 writes under way"):
        await copy_state(source, target, unheard)
    await source.drop_intent(promise)

    await put(source, "dog")
    with pytest.raises(Busy, match="the group replicator has not read"):
        await copy_state(source, target, unheard)


async def test_a_target_with_a_bucket_of_its_own_is_left_alone(
    source: StateStore, target: StateStore
) -> None:
    await make_bucket(target, BUCKET, "somebody else")

    with pytest.raises(AlreadyExists, match="copy into an empty state"):
        await copy_state(source, target, unheard)

    assert (await target.bucket(BUCKET)).owner == "somebody else"


async def store_objects(store: ObjectStore) -> list[Row]:
    """Three objects in two buckets; their rows as a gateway would have committed them."""
    rows = []
    for bucket, key in (("films", "a"), (BUCKET, "b/c"), (BUCKET, "ü")):
        await store.create_bucket(Bucket(bucket, "main", NOON, "eu-central-1"))
        facts = Facts(version(7), 4, f"etag of {key}", "main", metadata={"name": key})
        stored = await store.put(bucket, key, BytesSource(b"meow", facts))
        rows.append(Row(bucket, key, facts, stored.locator))
    return rows


@pytest.mark.parametrize("kind", ["memory", "local"])
async def test_a_state_is_made_again_from_the_storage(
    target: StateStore, tmp_path: Path, kind: str
) -> None:
    store: ObjectStore = (
        MemoryStore() if kind == "memory" else LocalStore.open(tmp_path / "disk", durable=False)
    )
    rows = await store_objects(store)

    rebuilt = await rebuild(store, target, owner="root", tell=unheard)
    again = await rebuild(store, target, owner="root", tell=unheard)

    assert rebuilt == again == Rebuilt(buckets=2, objects=3)
    assert [await target.find(row.bucket, row.key) for row in rows] == rows
    assert await target.bucket("films") == Bucket("films", "main", NOON, "eu-central-1")
    await store.close()


async def test_what_the_state_knows_to_be_newer_stays(target: StateStore) -> None:
    store = MemoryStore()
    await store_objects(store)
    await make_bucket(target)
    newer = row(version(8), key="ü")
    await commit(target, newer)

    await rebuild(store, target, owner="root", tell=unheard)

    assert await target.find(BUCKET, "ü") == newer
