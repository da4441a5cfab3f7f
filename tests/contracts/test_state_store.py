"""Every state store: buckets, access keys, leases; and what a killed process leaves."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from backends.errors import BucketNotFound, NotEmpty, NotFound, UploadNotFound
from backends.model import AccessKey, Bucket, Upload
from backends.state.protocol import StateStore
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    Processes,
    Wall,
    make_bucket,
    put,
)

ROOT = Path(__file__).parents[2]
FIRST = AccessKey("FIRST", "secret of the first", "main", NOON)


async def names(
    state: StateStore, owner: str = "main", *, prefix: str = "", after: str = "", limit: int = 100
) -> list[str]:
    found = await state.buckets(owner, prefix=prefix, after=after, limit=limit)
    return [bucket.name for bucket in found]


async def test_a_store_that_is_open_answers(state: StateStore) -> None:
    await state.ping()


async def test_a_bucket_comes_back_as_it_was_made(state: StateStore) -> None:
    made = Bucket("films", "other", NOON, "eu-central-1")

    assert await state.create_bucket(made) == made
    assert await state.bucket("films") == made


async def test_of_two_makers_the_first_has_the_bucket(state: StateStore) -> None:
    first = await make_bucket(state, "films", "first")

    second = await state.create_bucket(Bucket("films", "second", NOON + 1, "elsewhere"))

    assert second == first == await state.bucket("films")


async def test_buckets_are_listed_by_owner_in_order_of_their_names(state: StateStore) -> None:
    for name in ("b", "a.1", "a-1", "c"):
        await make_bucket(state, name, "cats")
    await make_bucket(state, "a", "dogs")

    assert await names(state, "cats") == ["a-1", "a.1", "b", "c"]
    assert await names(state, "nobody") == []


async def test_buckets_are_listed_by_prefix_and_in_pages(state: StateStore) -> None:
    for name in ("a", "ab", "abc", "b"):
        await make_bucket(state, name, "cats")

    assert await names(state, "cats", prefix="ab") == ["ab", "abc"]
    assert await names(state, "cats", after="a", limit=2) == ["ab", "abc"]
    assert await names(state, "cats", prefix="a", after="abc") == []


async def test_a_bucket_with_objects_is_not_deleted(state: StateStore) -> None:
    await put(state)

    with pytest.raises(NotEmpty):
        await state.delete_bucket(BUCKET)

    assert await names(state) == [BUCKET]


async def test_a_bucket_whose_objects_were_deleted_goes(state: StateStore) -> None:
    await put(state)
    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "DeleteObject")

    assert await state.delete_bucket(BUCKET) == []

    with pytest.raises(BucketNotFound):
        await state.bucket(BUCKET)
    with pytest.raises(BucketNotFound):
        await state.delete_bucket(BUCKET)
    assert await names(state) == []


async def test_a_bucket_takes_its_uploads_with_it_and_names_them(state: StateStore) -> None:
    await make_bucket(state, "films")
    gone = [Upload("films", key, f"upload of {key}", "token", NOON, "main") for key in ("a", "b")]
    kept = Upload(BUCKET, "a", "kept", "token", NOON, "main")
    for upload in (*gone, kept):
        await state.create_upload(upload)

    ended = await state.delete_bucket("films")

    assert sorted(ended, key=lambda upload: upload.key) == gone
    assert await state.upload(BUCKET, "a", "kept") == kept
    await make_bucket(state, "films")
    with pytest.raises(UploadNotFound):
        await state.upload("films", "a", "upload of a")


async def test_a_key_is_kept_replaced_and_listed_in_order(state: StateStore) -> None:
    second = AccessKey("SECOND", "secret", "other", NOON)
    disabled = AccessKey("FIRST", "changed", "main", NOON, enabled=False)

    for key in (second, FIRST, disabled):
        await state.put_key(key)

    assert await state.key("FIRST") == disabled
    assert await state.keys() == [disabled, second]


async def test_an_access_key_that_is_not_there_is_not_found(state: StateStore) -> None:
    with pytest.raises(NotFound):
        await state.key("NOBODY")


async def test_a_removed_key_is_gone_and_cannot_be_removed_again(state: StateStore) -> None:
    second = AccessKey("SECOND", "secret", "other", NOON)
    for key in (FIRST, second):
        await state.put_key(key)

    await state.drop_key("FIRST")

    assert await state.keys() == [second]
    for gone in (state.key("FIRST"), state.drop_key("FIRST")):
        with pytest.raises(NotFound):
            await gone


async def test_another_process_sees_buckets_and_keys(processes: Processes) -> None:
    here, there = await processes.open(), await processes.open()

    made = await make_bucket(here)
    await here.put_key(FIRST)

    assert await there.bucket(BUCKET) == made
    assert await there.keys() == [FIRST]


async def test_one_holder_has_the_lease_until_it_runs_out(state: StateStore, wall: Wall) -> None:
    assert await state.acquire("recovery", "first", lease=LEASE)
    wall.milliseconds += LEASE - 1

    assert not await state.acquire("recovery", "second", lease=LEASE)
    assert await state.acquire("another", "second", lease=LEASE)
    wall.milliseconds += 1
    assert await state.acquire("recovery", "second", lease=LEASE)
    assert not await state.acquire("recovery", "first", lease=LEASE)


async def test_a_holder_renews_its_own_lease(state: StateStore, wall: Wall) -> None:
    await state.acquire("recovery", "first", lease=LEASE)
    wall.milliseconds += LEASE - 1
    assert await state.acquire("recovery", "first", lease=LEASE)
    wall.milliseconds += LEASE - 1

    assert not await state.acquire("recovery", "second", lease=LEASE)


async def test_of_many_processes_one_gets_a_lease(processes: Processes) -> None:
    stores = [await processes.open() for _ in range(4)]

    got = await asyncio.gather(
        *(
            store.acquire("recovery", str(number), lease=LEASE)
            for number, store in enumerate(stores)
        )
    )

    assert sum(got) == 1


def kill_a_writer(name: str, folder: Path) -> list[str]:
    """The keys that a process told it had committed before it was killed."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.contracts.state_writer", name, folder],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    with writer.stdout as told:
        keys = [told.readline() for _ in range(50)]
        writer.kill()
        keys += told.read().splitlines(keepends=True)
    writer.wait()
    return [key.decode().strip() for key in keys if key.endswith(b"\n")]


async def test_what_was_committed_survives_the_process_being_killed(processes: Processes) -> None:
    keys = await asyncio.to_thread(kill_a_writer, processes.name, processes.folder)

    state = await processes.open()

    assert len(keys) >= 50
    for key in keys:
        assert (await state.find(BUCKET, key)).key == key
    assert await put(state, "after the crash")


async def test_every_bucket_is_told_whoever_owns_it(state: StateStore) -> None:
    for name, owner in (("films", "other"), ("archive", "third")):
        await make_bucket(state, name, owner)

    found = await state.every_bucket(after="", limit=10)
    above = await state.every_bucket(after="archive", limit=1)

    assert [(bucket.name, bucket.owner) for bucket in found] == [
        ("archive", "third"),
        ("films", "other"),
        ("photos", "main"),
    ]
    assert [bucket.name for bucket in above] == ["films"]


async def test_promises_are_counted_until_they_are_kept_or_dropped(state: StateStore) -> None:
    await put(state)
    dropped, _ = [await state.begin(BUCKET, key, lease=LEASE) for key in ("a", "b")]
    await state.drop_intent(dropped)

    assert await state.unsettled() == 1


async def test_groups_are_told_by_name(state: StateStore) -> None:
    for group in ("west", "east"):
        await state.subscribe(group)

    assert await state.groups() == ["east", "west"]
