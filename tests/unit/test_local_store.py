"""What only the store on local disk promises: its files, and what a crash leaves of them."""

import asyncio
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from backends.errors import BackendError, NotFound
from backends.model import Bucket, Facts, Version
from backends.storage.local import LocalStore
from backends.storage.protocol import Stored, StoredPart
from backends.storage.source import BytesSource

PROJECT = Path(__file__).parents[2]
LARGE = random.Random(1).randbytes(300_000)
STEPS = 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[LocalStore]:
    opened = LocalStore.open(root, durable=False)
    await opened.create_bucket(Bucket("photos", "ann", 0))
    yield opened
    await opened.close()


def facts(stamp: int = 1) -> Facts:
    return Facts(Version(stamp, "here"))


async def put(store: LocalStore, key: str = "cat", data: bytes = LARGE) -> Stored:
    return await store.put("photos", key, BytesSource(data, facts()))


async def get(store: LocalStore, key: str = "cat") -> bytes:
    return b"".join([block async for block in await store.get("photos", key)])


def incoming(root: Path) -> list[Path]:
    return list((root / "incoming").iterdir())


def published(root: Path) -> list[Path]:
    return [path for path in (root / "segments").rglob("*") if path.is_file()]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def unpublish(root: Path) -> None:
    """Put the one segment back to where it was when its writer committed and crashed."""
    [segment] = published(root)
    segment.rename(root / "incoming" / segment.name)


@contextmanager
def process(task: str, root: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.unit.disk_writer", task, str(root)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def said(running: "subprocess.Popen[str]") -> str:
    """The next word of the process."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


async def test_what_a_killed_writer_left_is_swept_and_a_live_writers_is_not(
    store: LocalStore, root: Path
) -> None:
    with process("stream", root) as writer:
        assert await asyncio.to_thread(said, writer) == "streaming"

        assert await store.sweep() == 0
        assert len(incoming(root)) == 1
        writer.kill()
        await asyncio.to_thread(writer.wait)
        assert await store.sweep() == 1

    assert incoming(root) == []
    assert [stored async for stored in store.listing("photos")] == []


async def test_a_segment_of_a_writer_killed_after_its_commit_is_read_and_then_published(
    store: LocalStore, root: Path
) -> None:
    await put(store)
    unpublish(root)

    assert await get(store) == LARGE
    assert await store.sweep() == 1
    assert (len(published(root)), incoming(root)) == (1, [])
    assert await get(store) == LARGE


async def test_a_segment_that_is_not_in_its_place_yet_can_be_deleted(
    store: LocalStore, root: Path
) -> None:
    stored = await put(store)
    unpublish(root)

    await store.delete("photos", "cat", stored.locator)

    assert (published(root), incoming(root), await store.sweep()) == ([], [], 0)


async def test_what_a_killed_deleter_left_is_removed(
    store: LocalStore, root: Path, tmp_path: Path
) -> None:
    stored = await put(store)
    [segment] = published(root)
    kept = shutil.copy2(segment, tmp_path / "kept")
    await store.delete("photos", "cat", stored.locator)
    shutil.move(kept, segment)
    with closing(sqlite3.connect(root / "catalog.db")) as catalog, catalog:
        catalog.execute("INSERT INTO trash VALUES (?)", (segment.name,))

    assert await store.sweep() == 1
    assert published(root) == []
    assert await store.sweep() == 0


async def test_what_lost_its_segment_is_not_copied(store: LocalStore, root: Path) -> None:
    stored = await put(store)
    unpublish(root)
    copied = await store.copy("photos", "cat", stored.locator, "photos", "early", facts())
    assert copied.size == stored.size
    for segment in incoming(root):
        segment.unlink()

    with pytest.raises(NotFound):
        await store.copy("photos", "cat", stored.locator, "photos", "late", facts())

    with pytest.raises(NotFound):
        await store.head("photos", "late")


async def test_a_segment_that_was_lost_is_not_found_before_any_byte(
    store: LocalStore, root: Path
) -> None:
    await put(store)
    [segment] = published(root)
    segment.unlink()

    with pytest.raises(NotFound):
        await store.get("photos", "cat")


async def test_two_stores_on_one_folder_are_one(store: LocalStore, root: Path) -> None:
    other = LocalStore.open(root, durable=False)
    await put(store)
    token = await store.create_upload("photos", "film", facts())
    part = await store.put_part("photos", "film", token, 1, BytesSource(LARGE, facts()))

    assert await get(other) == LARGE
    await other.complete_upload("photos", "film", token, [StoredPart(1, part, len(LARGE))], facts())
    assert await get(store, "film") == LARGE
    await other.delete("photos", "cat")
    with pytest.raises(NotFound):
        await get(store)
    assert await other.sweep() == await store.sweep() == 0
    await other.close()


async def test_two_stores_that_write_and_delete_one_key_leave_no_file(
    store: LocalStore, root: Path
) -> None:
    other = LocalStore.open(root, durable=False)

    await asyncio.gather(*(put(one) for one in [store, other] * 20), *_deletes(store, other))
    await store.delete("photos", "cat")

    assert (published(root), incoming(root), await store.sweep()) == ([], [], 0)
    await other.close()


def _deletes(*stores: LocalStore) -> list[Awaitable[None]]:
    return [store.delete("photos", "cat") for store in stores * 20]


async def test_a_reader_finds_the_object_at_every_moment_of_its_replacement(
    store: LocalStore,
) -> None:
    await put(store)
    writing = asyncio.gather(*(put(store) for _ in range(20)))

    while not writing.done():
        assert await get(store) == LARGE

    await writing


async def test_a_full_disk_is_no_space_and_leaves_nothing(store: LocalStore, root: Path) -> None:
    with process("fill", root) as writer:
        words = [await asyncio.to_thread(said, writer) for _ in range(2)]
        await asyncio.to_thread(writer.wait)

    assert words == ["streaming", "no space"]
    assert (published(root), incoming(root), await store.sweep()) == ([], [], 0)
    assert [stored async for stored in store.listing("photos")] == []


@pytest.mark.parametrize("key", ["../../cat", "/cat", "..", "a/../../../cat", "\x00"])
async def test_no_key_reaches_outside_the_folder(
    store: LocalStore, tmp_path: Path, key: str
) -> None:
    await put(store, key)

    assert await get(store, key) == LARGE
    assert names_in(tmp_path) == ["storage"]
    assert len(published(tmp_path / "storage")) == 1


async def test_files_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        root = tmp_path / "storage"
        store = LocalStore.open(root)
        await store.create_bucket(Bucket("photos", "ann", 0))
        await put(store)
        modes = {stat.S_IMODE(path.stat().st_mode): path for path in [root, *root.rglob("*")]}
        await store.close()
    finally:
        os.umask(before)

    assert modes.keys() == {0o600, 0o700}


@pytest.mark.parametrize("steps", range(0, STEPS, 3))
async def test_a_put_cancelled_anywhere_leaves_a_whole_object_or_none(
    store: LocalStore, root: Path, steps: int
) -> None:
    files = open_files()
    running = asyncio.create_task(put(store))
    await _cancel_after(running, steps)
    await store.sweep()

    held = [stored async for stored in store.listing("photos")]

    assert (incoming(root), len(published(root))) == ([], len(held))
    assert [await get(store) for _ in held] == [LARGE for _ in held]
    assert open_files() == files


@pytest.mark.parametrize("steps", range(10))
async def test_a_get_cancelled_anywhere_leaves_no_file_open(store: LocalStore, steps: int) -> None:
    await put(store)
    files = open_files()
    await _cancel_after(asyncio.create_task(get(store)), steps)

    assert open_files() == files


async def _cancel_after(running: "asyncio.Task[object]", steps: int) -> None:
    """Let the loop go round so many times, then cancel the task and see it end."""
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_body_that_is_closed_unread_leaves_no_file_open(store: LocalStore) -> None:
    await put(store)
    files = open_files()

    body = await store.get("photos", "cat")
    await body.aclose()

    assert open_files() == files


@pytest.mark.parametrize(
    "fail",
    [
        lambda store: store.put("nowhere", "cat", BytesSource(LARGE, facts())),
        lambda store: store.put_part("nowhere", "cat", "u", 1, BytesSource(LARGE, facts())),
        lambda store: store.copy("photos", "no", "1", "photos", "cat", facts()),
    ],
)
async def test_a_write_that_is_refused_leaves_no_file(
    store: LocalStore, root: Path, fail: Callable[[LocalStore], Awaitable[object]]
) -> None:
    with pytest.raises(BackendError):
        await fail(store)

    assert (published(root), incoming(root)) == ([], [])


async def test_a_bucket_deleted_while_a_body_arrives_refuses_it_and_keeps_nothing(
    store: LocalStore, root: Path
) -> None:
    class Late(BytesSource):
        """A body whose bucket goes before its end."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield LARGE
            await store.delete_bucket("photos")

    with pytest.raises(NotFound):
        await store.put("photos", "cat", Late(b"", facts()))

    assert (published(root), incoming(root)) == ([], [])


async def test_a_store_opened_again_has_all_it_had(root: Path) -> None:
    first = LocalStore.open(root)
    await first.create_bucket(Bucket("photos", "ann", 0))
    stored = await put(first)
    await first.close()

    again = LocalStore.open(root)

    assert await again.head("photos", "cat") == stored
    assert await get(again) == LARGE
    await again.close()
