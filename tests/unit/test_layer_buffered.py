"""A buffer before a storage that fails when the test says so, on a clock that the test sets."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backends.errors import (
    AccessDenied,
    BackendError,
    Busy,
    NoSpace,
    NotEmpty,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from backends.model import Bucket, Facts, ObjectPart, Version
from backends.storage.layers.buffered import Buffered, BufferOptions, Resolving, overlay
from backends.storage.memory import MemoryStore
from backends.storage.protocol import StoredPart
from backends.storage.source import BytesSource
from tests.unit.unsteady import BUCKET, House, build, read

DOWN = Unavailable("down")


@dataclass
class Blocks:
    """A body in blocks, which lets the test act before the last."""

    blocks: list[bytes]
    facts: Facts
    size: int | None = None
    before_last: asyncio.Event | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for block in self.blocks[:-1]:
            yield block
        if self.before_last:
            await self.before_last.wait()
        yield self.blocks[-1]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    built = await build(tmp_path)
    yield built
    await built.store.close()


async def write_while_down(house: House, key: str, data: bytes) -> str:
    house.faults.error = DOWN
    stored = await house.put(key, data)
    house.faults.error = None
    return stored.locator


async def test_a_block_that_the_storage_does_not_take_waits_and_is_stored_later(
    house: House,
) -> None:
    house.faults.error = DOWN
    stored = await house.put("cat", b"meow")

    assert await house.get("cat", stored.locator) == b"meow"
    assert await house.store.head(BUCKET, "cat") == stored
    assert await house.store.head(BUCKET, "cat", stored.facts.version) == stored
    [waiting] = house.store.pending(10)
    assert (waiting.bucket, waiting.key, waiting.kind, waiting.size) == (BUCKET, "cat", "put", 4)
    house.faults.error = None
    await house.store.flush_due()

    assert (await house.storage.head(BUCKET, "cat")).facts == stored.facts
    assert await read(house.storage, "cat") == b"meow"
    assert await house.get("cat", stored.locator) == b"meow"
    assert house.store.totals().entries == house.store.totals().used_bytes == 0
    assert await house.store.sweep() == 0
    assert not house.store.unsteady


async def test_a_long_body_fails_and_waits_when_it_comes_again(house: House) -> None:
    house.faults.error = DOWN
    blocks = [b"one", b"two"]
    with pytest.raises(Unavailable):
        await house.store.put(BUCKET, "cat", Blocks(blocks, house.facts()))

    await house.store.put(BUCKET, "cat", Blocks(blocks, house.facts()))

    assert await house.get("cat") == b"onetwo"


async def test_an_error_of_the_body_is_not_the_storage_s(house: House) -> None:
    class Failing(Blocks):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"first"
            raise Unavailable("the state is gone")

    with pytest.raises(Unavailable, match="the state is gone"):
        await house.store.put(BUCKET, "cat", Failing([], house.facts()))

    assert not house.store.unsteady


@pytest.mark.parametrize("error", [NoSpace("full"), AccessDenied("no")])
async def test_a_storage_that_answers_is_not_unsteady(house: House, error: BackendError) -> None:
    house.faults.error = error
    with pytest.raises(type(error)):
        await house.put("cat", b"meow")

    assert not house.store.unsteady
    assert house.store.totals().entries == 0


async def test_it_is_steady_again_after_a_while(house: House) -> None:
    await write_while_down(house, "cat", b"meow")
    await house.put("dog", b"waits too")
    assert house.store.totals().entries == 2

    house.wall.seconds += 30
    await house.put("bird", b"direct")

    assert house.store.totals().entries == 2
    assert await read(house.storage, "bird") == b"direct"


async def test_writes_of_a_key_that_waits_wait_too_and_the_last_counts(house: House) -> None:
    first = await write_while_down(house, "cat", b"first")
    house.wall.seconds += 30

    second = await house.put("cat", b"second")

    assert await house.get("cat") == b"second"
    with pytest.raises(NotFound):
        await house.get("cat", first)
    assert house.store.totals().bytes == len(b"second")
    await house.store.flush_due()
    assert await read(house.storage, "cat") == b"second"
    assert house.faults.calls.count("put") == 2  # the one that failed, and the last
    assert await house.get("cat", second.locator) == b"second"


async def test_a_write_that_comes_while_the_earlier_is_stored_is_stored_after_it(
    house: House,
) -> None:
    await write_while_down(house, "cat", b"first")
    house.faults.open.clear()
    flush = asyncio.create_task(house.store.flush_due())
    while house.faults.calls.count("put") < 2:
        await asyncio.sleep(0)

    await house.put("cat", b"second")
    house.faults.open.set()
    await flush

    assert await house.get("cat") == b"second"
    await house.store.flush_due()
    assert await read(house.storage, "cat") == b"second"
    assert house.store.totals().entries == 0


async def test_a_body_on_its_way_to_the_storage_does_not_run_over_a_later_write(
    house: House,
) -> None:
    last = asyncio.Event()
    source = Blocks([b"old", b"er"], house.facts(), before_last=last)
    slow = asyncio.create_task(house.store.put(BUCKET, "cat", source))
    while "put" not in house.faults.calls:
        await asyncio.sleep(0)
    await write_while_down(house, "cat", b"newer")

    last.set()
    with pytest.raises(Busy):
        await slow

    assert await house.get("cat") == b"newer"


async def test_a_delete_waits_and_hides_what_is_stored(house: House) -> None:
    await house.put("cat", b"meow")
    house.faults.error = DOWN
    await house.store.delete(BUCKET, "cat")
    await house.store.delete_many(BUCKET, ["dog", "bird"])

    with pytest.raises(NotFound):
        await house.get("cat")
    with pytest.raises(NotFound):
        await house.store.head(BUCKET, "cat")
    house.faults.error = None
    assert await house.keys() == []
    assert [one.kind for one in house.store.pending(10)] == ["delete"] * 3
    await house.store.flush_due()

    with pytest.raises(NotFound):
        await house.storage.head(BUCKET, "cat")
    assert house.store.totals().entries == 0


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
@pytest.mark.parametrize("most", [None, 1, 2, 100])
async def test_a_listing_has_what_waits_and_what_is_stored_in_order(
    house: House, monkeypatch: pytest.MonkeyPatch, page: int, most: int | None
) -> None:
    monkeypatch.setattr(overlay, "PAGE", page)
    for key in ("a/2", "a/4", "a/5", "a/6", "b/1"):
        await house.put(key, b"stored")
    house.faults.error = DOWN
    for key in ("a/1", "a/3", "a/4", "a/7"):
        await house.put(key, b"waits")
    for key in ("a/2", "a/5"):
        await house.store.delete(BUCKET, key)
    house.faults.error = None

    assert await house.keys(most=most) == ["a/1", "a/3", "a/4", "a/6", "a/7", "b/1"][:most]
    assert await house.keys("a/", "a/3", most) == ["a/4", "a/6", "a/7"][:most]
    assert await house.keys("c", most=most) == []


async def test_conditions_compare_with_what_waits_else_the_storage_decides(house: House) -> None:
    stored = await house.put("dog", b"woof")
    house.faults.error = DOWN
    cat = await house.put("cat", b"meow")
    with pytest.raises(PreconditionFailed):
        await house.put("cat", b"new", replacing="")
    with pytest.raises(PreconditionFailed):
        await house.put("cat", b"new", replacing="another")
    await house.put("cat", b"new", replacing=cat.locator)
    with pytest.raises(Unavailable):
        await house.put("dog", b"new", replacing=stored.locator)
    with pytest.raises(Unavailable):
        await house.put("bird", b"new", replacing="")

    assert await house.get("cat") == b"new"
    assert [one.key for one in house.store.pending(10)] == ["cat"]


async def test_a_condition_on_what_waited_holds_after_it_was_stored(house: House) -> None:
    locator = await write_while_down(house, "cat", b"meow")
    await house.store.flush_due()

    await house.put("cat", b"new", replacing=locator)

    assert await read(house.storage, "cat") == b"new"
    with pytest.raises(PreconditionFailed):
        await house.put("cat", b"newer", replacing=locator)


async def test_a_delete_by_locator_deletes_only_these_bytes(house: House) -> None:
    first = await write_while_down(house, "cat", b"first")
    second = await house.put("cat", b"second")
    await house.store.delete(BUCKET, "cat", first)
    assert await house.get("cat") == b"second"

    await house.store.flush_due()
    await house.store.delete(BUCKET, "cat", first)
    assert await house.get("cat") == b"second"
    await house.store.delete(BUCKET, "cat", second.locator)
    with pytest.raises(NotFound):
        await house.get("cat")


async def test_a_full_buffer_says_so_and_loses_nothing(tmp_path: Path) -> None:
    house = await build(tmp_path, max_bytes=100)
    await write_while_down(house, "cat", bytes(60))

    with pytest.raises(Busy, match="60 of 100 bytes"):
        await house.put("dog", bytes(60))
    with pytest.raises(Busy):
        await house.store.put(BUCKET, "dog", Blocks([bytes(30)] * 2, house.facts()))
    await house.put("bird", bytes(40))

    assert house.store.totals().used_bytes == 100
    assert await house.keys() == ["bird", "cat"]
    assert await house.store.sweep() == 0
    await house.store.flush_due()
    await house.put("dog", bytes(100))
    await house.store.close()


async def test_what_fails_is_tried_again_later_and_later(house: House) -> None:
    await write_while_down(house, "cat", b"meow")
    house.faults.error = DOWN
    pauses = []
    for attempt in range(1, 12):
        await house.store.flush_due()
        [waiting] = house.store.pending(1)
        assert (waiting.attempts, waiting.error) == (attempt, "Unavailable: down")
        started, before = house.wall.seconds, len(house.faults.calls)
        while len(house.faults.calls) == before:
            house.wall.seconds += 0.25
            await house.store.flush_due()
        pauses.append(house.wall.seconds - started)
        await house.again()

    for number, pause in enumerate(pauses):
        longest = min(2.0**number, 300.0)
        assert longest / 2 <= pause <= longest + 0.25
    house.faults.error = None
    house.wall.seconds += 300
    await house.store.flush_due()
    assert await read(house.storage, "cat") == b"meow"


async def test_what_the_storage_refuses_is_kept_and_does_not_hold_up_others(house: House) -> None:
    await write_while_down(house, "cat", b"meow")
    house.faults.error = AccessDenied("no entry")
    await house.store.flush_due()
    house.faults.error = None
    await house.put("dog", b"woof")
    await house.store.flush_due()

    [waiting] = house.store.pending(10)
    assert (waiting.key, waiting.error) == ("cat", "AccessDenied: no entry")
    assert house.store.totals().failing == 1
    house.wall.seconds += 300
    await house.store.flush_due()
    assert house.store.pending(10) == []


async def test_what_another_gateway_wrote_later_stands(house: House) -> None:
    await write_while_down(house, "cat", b"waits")
    later = Version((house.wall.milliseconds() + 1) << 16, "there")
    await house.storage.put(BUCKET, "cat", BytesSource(b"later", Facts(later)))

    await house.store.flush_due()

    assert await house.get("cat") == b"later"
    assert house.store.totals().entries == 0


async def test_what_was_stored_before_a_crash_is_not_stored_again(house: House) -> None:
    house.faults.error = DOWN
    source = BytesSource(b"meow", house.facts(size=4, etag="digest"))
    await house.store.put(BUCKET, "cat", source)
    house.faults.error = None
    stored = await house.storage.put(BUCKET, "cat", source)

    await house.store.flush_due()

    assert (await house.storage.head(BUCKET, "cat")).locator == stored.locator
    assert house.store.totals().entries == 0


async def test_locators_outlive_the_process(house: House) -> None:
    locator = await write_while_down(house, "cat", b"meow")
    await house.again()
    assert await house.get("cat", locator) == b"meow"
    await house.store.flush_due()
    await house.again()

    assert await house.get("cat", locator) == b"meow"
    await house.put("cat", b"new")
    await house.again()
    with pytest.raises(NotFound):
        await house.get("cat", locator)


async def test_locators_outlive_the_buffer(house: House) -> None:
    locator = await write_while_down(house, "cat", b"meow")
    await house.store.flush_due()
    store = Resolving(house.storage)

    assert await read(store, "cat", locator) == b"meow"
    await store.copy(BUCKET, "cat", locator, BUCKET, "copy", house.facts())
    assert await read(store, "copy") == b"meow"
    source = BytesSource(b"new", house.facts())
    await store.put(BUCKET, "cat", source, replacing=locator)
    with pytest.raises(PreconditionFailed):
        await store.put(BUCKET, "cat", source, replacing=locator)
    await store.delete(BUCKET, "cat", locator)
    assert await read(store, "cat") == b"new"
    with pytest.raises(NotFound):
        await read(Resolving(house.storage), "cat", locator)


async def test_without_state_the_locator_is_the_etag(tmp_path: Path) -> None:
    house = await build(tmp_path, etags=True)
    house.faults.error = DOWN
    digest = "0" * 32
    for etag in (digest, f"{digest}-2"):
        source = BytesSource(b"meow", house.facts(etag=etag))
        assert (await house.store.put(BUCKET, "cat", source)).locator == etag
    assert await house.get("cat", f"{digest}-2") == b"meow"
    await house.store.close()


async def test_buckets_are_known_while_the_storage_is_down(house: House) -> None:
    await write_while_down(house, "cat", b"meow")
    await house.again()
    house.faults.error = DOWN

    assert (await house.store.find_bucket(BUCKET)).owner == "ann"
    with pytest.raises(Unavailable):
        await house.store.find_bucket("other")


async def test_a_bucket_goes_when_nothing_of_it_waits(house: House) -> None:
    await write_while_down(house, "cat", b"meow")
    with pytest.raises(NotEmpty):
        await house.store.delete_bucket(BUCKET)
    assert await house.get("cat") == b"meow"

    await house.store.delete(BUCKET, "cat")
    await house.store.delete_bucket(BUCKET)

    assert house.store.totals().entries == 0
    with pytest.raises(NotFound):
        await house.store.find_bucket(BUCKET)


async def test_an_upload_begun_while_down_lives_in_the_buffer_with_its_records(
    house: House,
) -> None:
    house.faults.error = DOWN
    facts = house.facts(upload="u1")
    token = await house.store.create_upload(BUCKET, "cat", facts)
    records = ".clone-cloud-store/parts/u1/"
    await house.put(f"{records}1", b"")
    part = await house.store.put_part(BUCKET, "cat", token, 1, BytesSource(b"meow", facts))
    assert house.store.totals().used_bytes == 4
    assert await house.keys(records) == [f"{records}1"]
    await house.again()

    done = await house.store.complete_upload(
        BUCKET, "cat", token, [StoredPart(1, part, 4)], house.facts(upload="u1")
    )
    await house.store.delete(BUCKET, f"{records}1")
    assert await house.keys(records) == []
    assert await house.get("cat", done.locator) == b"meow"
    assert [one.key for one in house.store.pending(10)] == ["cat"]
    house.faults.error = None
    await house.store.flush_due()

    assert await read(house.storage, "cat") == b"meow"
    assert [one.key async for one in house.storage.listing(BUCKET)] == ["cat"]
    assert house.store.totals().used_bytes == 0


async def test_what_came_in_parts_is_stored_in_parts_where_they_make_the_etag(
    house: House,
) -> None:
    memory = MemoryStore(keeps_replaced=False)
    memory.capabilities = replace(memory.capabilities, etag_is_locator=True)
    await memory.create_bucket(Bucket(BUCKET, "ann", 1))
    house.storage = memory
    await house.again()
    house.faults.error = DOWN
    parts = (ObjectPart(2, 4), ObjectPart(5, 3))
    source = BytesSource(b"meowmew", house.facts(size=7, parts=parts))
    stored = await house.store.put(BUCKET, "cat", source)
    house.faults.error = None

    await house.store.flush_due()

    assert house.faults.calls.count("put_part") == 2
    assert await read(memory, "cat") == b"meowmew"
    assert (await memory.head(BUCKET, "cat")).facts == stored.facts


async def test_a_copy_of_what_waits_and_onto_what_waits(house: House) -> None:
    stored = await house.put("dog", b"woof")
    locator = await write_while_down(house, "cat", b"meow")
    house.wall.seconds += 30

    await house.store.copy(BUCKET, "cat", locator, BUCKET, "copy", house.facts())
    await house.store.copy(BUCKET, "dog", stored.locator, BUCKET, "cat", house.facts())

    assert await read(house.storage, "copy") == b"meow"
    assert await house.get("cat") == b"woof"
    await house.store.flush_due()
    assert await read(house.storage, "cat") == b"woof"


async def test_only_one_process_stores_and_another_takes_over(house: House) -> None:
    other = house.opened()
    first = asyncio.create_task(house.store.run())
    await write_while_down(house, "cat", b"meow")
    second = asyncio.create_task(other.run())
    await emptied(house)
    first.cancel()
    await asyncio.wait([first])
    await write_while_down(house, "cat", b"again")
    await emptied(house)
    second.cancel()
    await asyncio.wait([second])

    assert await read(house.storage, "cat") == b"again"
    await other.close()


async def emptied(house: House) -> None:
    """Return when nothing waits any more."""
    async with asyncio.timeout(30):
        while house.store.totals().entries:
            await asyncio.sleep(0.01)


async def test_a_storage_that_is_down_is_asked_less_and_less_often(house: House) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            house.faults.error = None
        await asyncio.sleep(0)

    store = house.opened(sleep)
    house.faults.error = DOWN
    await store.put(BUCKET, "cat", BytesSource(b"meow", house.facts()))
    worker = asyncio.create_task(store.run())
    await emptied(house)
    worker.cancel()
    await asyncio.wait([worker])
    await store.close()

    assert await read(house.storage, "cat") == b"meow"
    for number, pause in enumerate(pauses[:12]):
        longest = min(2.0**number, 30.0)
        assert longest / 2 <= pause <= longest


async def test_a_read_that_succeeds_says_that_the_storage_is_back(house: House) -> None:
    async def sleep(_: float) -> None:
        await asyncio.Event().wait()

    await house.put("dog", b"woof")
    store = house.opened(sleep)
    house.faults.error = DOWN
    await store.put(BUCKET, "cat", BytesSource(b"meow", house.facts()))
    worker = asyncio.create_task(store.run())
    house.faults.error = None
    assert await read(store, "dog") == b"woof"

    await emptied(house)

    worker.cancel()
    await asyncio.wait([worker])
    await store.close()


async def test_a_storage_that_keeps_what_is_replaced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in place"):
        Buffered(MemoryStore(), BufferOptions(tmp_path))
