"""Several processes at once over every state store: nothing is missed, nothing is left behind."""

import asyncio
import contextlib

from backends.errors import BucketNotFound, NotEmpty
from backends.model import Event, Part, Upload
from backends.state.protocol import StateStore
from tests.contracts.state_stores import BUCKET, NOON, Processes, make_bucket, put

WRITERS = 8
WRITES = 25
ROUNDS = 20
Read = list[tuple[int, Event]]


async def write(state: StateStore, writer: int) -> None:
    for number in range(WRITES):
        await put(state, f"{writer}/{number}")


async def several(processes: Processes) -> list[StateStore]:
    stores = [await processes.open() for _ in range(4)]
    await make_bucket(stores[0])
    return stores


def writers(stores: list[StateStore]) -> "asyncio.Future[list[None]]":
    return asyncio.gather(
        *(write(stores[writer % len(stores)], writer) for writer in range(WRITERS))
    )


async def follow(state: StateStore, done: "asyncio.Future[list[None]]") -> Read:
    """Read on while there are writers, as an event log does: never back."""
    read: Read = []
    while True:
        ended = done.done()
        page = await state.unread("west", after=read[-1][0] if read else 0, limit=10)
        read += page
        if ended and not page:
            return read
        await asyncio.sleep(0)  # for a store that answers at once


async def test_a_reader_who_never_looks_back_misses_no_event(processes: Processes) -> None:
    stores = await several(processes)
    await stores[0].subscribe("west")

    read = await follow(await processes.open(), writers(stores))

    assert len(read) == WRITERS * WRITES
    assert [number for number, _ in read] == sorted({number for number, _ in read})


async def test_what_a_new_group_is_not_told_it_finds_in_a_listing(processes: Processes) -> None:
    stores = await several(processes)
    reader = await processes.open()
    done = writers(stores)
    while not await reader.page(BUCKET, prefix="", after="", limit=20):
        await asyncio.sleep(0)

    await reader.subscribe("west")
    listed = {entry.key for entry in await reader.page(BUCKET, prefix="", after="", limit=1000)}
    await done

    told = {event.key for _, event in await reader.unread("west", after=0, limit=1000)}
    assert len(listed | told) == WRITERS * WRITES


async def test_no_event_is_left_behind_where_the_last_group_leaves(processes: Processes) -> None:
    stores = await several(processes)
    reader = await processes.open()
    for number in range(ROUNDS):
        await reader.subscribe("west")
        await asyncio.gather(
            reader.unsubscribe("west"),
            *(put(state, f"{number}/{at}") for at, state in enumerate(stores)),
        )

    keys = [entry.key for entry in await reader.page(BUCKET, prefix="", after="", limit=1000)]
    for key in keys:
        await reader.bury(BUCKET, key, "ObjectRemoved:Delete", "DeleteObject")
    processes.wall.milliseconds += 10**6
    assert await reader.purge_tombstones(older_than=0, limit=1000) == ROUNDS * len(stores)


async def test_groups_that_acknowledge_at_once_leave_nothing(processes: Processes) -> None:
    stores = await several(processes)
    groups = ("east", "north", "south", "west")
    for group in groups:
        await stores[0].subscribe(group)
    await put(stores[0])
    await stores[0].bury(BUCKET, "cat", "ObjectRemoved:Delete", "DeleteObject")
    processes.wall.milliseconds += 10**6
    last = (await stores[0].unread("west", after=0, limit=10))[-1][0]

    await asyncio.gather(
        *(state.acknowledge(group, last) for state, group in zip(stores, groups, strict=True))
    )

    assert await stores[0].purge_tombstones(older_than=0, limit=10) == 1


async def test_a_bucket_goes_only_without_the_objects_that_others_write(
    processes: Processes,
) -> None:
    here, there, *_ = await several(processes)
    for number in range(ROUNDS):
        name = f"bucket-{number}"
        await make_bucket(here, name)
        await asyncio.gather(
            put_if_there(here, name, "here"),
            delete_if_empty(there, name),
            put_if_there(there, name, "there"),
        )
        with contextlib.suppress(BucketNotFound):
            assert await here.page(name, prefix="", after="", limit=10)
            continue
        await make_bucket(here, name)
        assert await here.page(name, prefix="", after="", limit=10) == []


async def put_if_there(state: StateStore, bucket: str, key: str) -> None:
    with contextlib.suppress(BucketNotFound):
        await put(state, key, bucket=bucket)


async def delete_if_empty(state: StateStore, bucket: str) -> None:
    with contextlib.suppress(NotEmpty):
        await state.delete_bucket(bucket)


async def test_of_two_that_send_a_part_at_once_one_is_told_of_the_other(
    processes: Processes,
) -> None:
    stores = await several(processes)
    for number in range(ROUNDS):
        name = f"upload-{number}"
        await stores[0].create_upload(Upload(BUCKET, "film", name, "token", NOON, "main"))
        parts = [Part(1, 5, "etag", NOON, f"token {writer}") for writer in range(len(stores))]

        replaced = await asyncio.gather(
            *(
                state.put_part(BUCKET, "film", name, part)
                for state, part in zip(stores, parts, strict=True)
            )
        )

        [last] = await stores[0].parts(BUCKET, "film", name)
        told = [part for part in replaced if part]
        assert sorted([*told, last], key=lambda part: part.token) == parts
