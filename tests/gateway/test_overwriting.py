"""Writes over a storage that overwrites in place: turns, and the way forward after a crash."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from backends.errors import Busy, Corrupt, NotFound, PreconditionFailed, Unavailable, Unreached
from backends.model import Event, Facts, Intent, Precondition, Row, Version
from backends.storage.source import BytesSource
from s3proxy.gateway.leases import Lease, Terms, Turns
from tests.gateway.conftest import FACTS, LEASE, Body, House

LARGE = bytes(range(256)) * 1000


async def promised(
    house: House, *, deletes: bool = False, version: Version | None = None
) -> Intent:
    return await house.state.begin(
        "photos", "cat", lease=LEASE, alone=True, deletes=deletes, version=version
    )


async def stored(house: House, intent: Intent, data: bytes = LARGE) -> Row:
    """What a writer leaves who crashed between its bytes and its commit."""
    facts = Facts(version=intent.begun or intent.version, size=len(data), etag="new", owner="main")
    kept = await house.store.put("photos", "cat", BytesSource(data, facts))
    return Row("photos", "cat", facts, kept.locator)


async def test_an_object_is_put_read_overwritten_and_deleted(overwriting: House) -> None:
    house = overwriting
    for data in (b"small", LARGE, b"", LARGE):
        await house.objects.put("photos", "cat", Body(data), FACTS, "1")
        assert await house.read("photos", "cat") == data
        assert await house.stored("photos") == ["cat"]

    await house.objects.delete("photos", "cat", "1")

    assert await house.stored("photos") == []
    assert house.segments() == []
    with pytest.raises(NotFound):
        await house.objects.find("photos", "cat")
    assert await house.state.discards(older_than=-1, limit=10) == []


async def test_writers_of_one_key_end_with_one_winner_in_state_and_storage(
    overwriting: House,
) -> None:
    house = overwriting
    bodies = [os.urandom(200_000 + number) for number in range(20)]

    await asyncio.gather(
        *(house.objects.put("photos", "cat", Body(body), FACTS, "1") for body in bodies)
    )

    row = await house.objects.find("photos", "cat")
    data = await house.read("photos", "cat")
    assert data in bodies
    assert row.facts.size == len(data)
    head = await house.store.head("photos", "cat")
    assert (head.locator, head.size) == (row.locator, len(data))


async def test_readers_meanwhile_see_whole_objects_only(overwriting: House) -> None:
    house = overwriting
    await house.objects.put("photos", "cat", Body(b"0" * 150_000), FACTS, "1")
    done = asyncio.Event()

    async def read() -> int:
        count = 0
        while not done.is_set():
            data = await house.read("photos", "cat")
            assert len(set(data)) == 1
            assert len(data) == 150_000
            count += 1
            await asyncio.sleep(0)
        return count

    reading = asyncio.create_task(read())
    for number in range(30):
        await house.objects.put("photos", "cat", Body(b"%d" % (number % 10) * 150_000), FACTS, "1")
    done.set()

    assert await reading > 0


async def test_an_overwrite_that_never_committed_goes_forward(overwriting: House) -> None:
    house = overwriting
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    intent = await promised(house)
    await stored(house, intent)
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.read("photos", "cat") == LARGE
    assert (await house.objects.find("photos", "cat")).version == intent.version
    assert not await house.state.is_changing("photos", "cat")


async def test_bytes_that_went_out_before_their_version_was_settled_are_recognised(
    overwriting: House,
) -> None:
    house = overwriting
    begun = await house.state.begin("photos", "cat", lease=LEASE)
    intent = await house.state.restamp(begun, lease=LEASE, alone=True)
    await stored(house, intent)
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.read("photos", "cat") == LARGE
    assert (await house.objects.find("photos", "cat")).version == intent.version


async def test_an_overwrite_that_never_reached_the_storage_changes_nothing(
    overwriting: House,
) -> None:
    house = overwriting
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    await promised(house)
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.read("photos", "cat") == b"old"
    await house.objects.put("photos", "cat", Body(b"new"), FACTS, "1")
    assert await house.read("photos", "cat") == b"new"


@pytest.mark.parametrize("gone", [False, True])
async def test_a_delete_that_crashed_is_finished(overwriting: House, gone: bool) -> None:
    house = overwriting
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    await promised(house, deletes=True)
    if gone:
        await house.store.delete("photos", "cat")
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.stored("photos") == []
    with pytest.raises(NotFound):
        await house.objects.find("photos", "cat")
    await house.objects.put("photos", "cat", Body(b"new"), FACTS, "1")


async def test_a_replica_that_never_committed_goes_forward_and_nobody_is_told(
    overwriting: House,
) -> None:
    house = overwriting
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    await house.state.subscribe("group")
    row = await stored(house, await promised(house, version=Version(2**62, "west")))
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.objects.find("photos", "cat") == row
    assert await house.read("photos", "cat") == LARGE
    assert await house.state.unread("group", after=0, limit=10) == []


@pytest.mark.parametrize("there", [False, True])
async def test_a_replicas_delete_that_crashed_is_finished_under_its_version(
    overwriting: House, there: bool
) -> None:
    house = overwriting
    if there:
        await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    await house.state.subscribe("group")
    version = Version(2**62, "west")
    await promised(house, deletes=True, version=version)
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.stored("photos") == []
    newest = await house.state.newest("photos", "cat")
    assert newest == Row("photos", "cat", Facts(version), deleted=True)
    assert await house.state.unread("group", after=0, limit=10) == []
    assert await house.state.discards(older_than=-1, limit=10) == []
    assert await house.state.unsettled() == 0


async def test_a_read_waits_for_the_writer_that_is_about_to_commit(overwriting: House) -> None:
    house = overwriting
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    intent = await promised(house)
    row = await stored(house, intent, b"new")

    reading = asyncio.create_task(house.read("photos", "cat"))
    await asyncio.sleep(0)
    assert not reading.done()
    written = replace(row, facts=replace(row.facts, version=intent.version))
    event = Event("ObjectCreated:Put", "photos", "cat", written.version)
    await house.state.commit(written, event, intent=intent, overwrote=True)

    assert await reading == b"new"


async def test_bytes_that_are_gone_and_nobody_writes_are_corrupt(overwriting: House) -> None:
    house = overwriting
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    await house.store.delete("photos", "cat")

    with pytest.raises(Corrupt):
        await house.read("photos", "cat")

    await house.objects.put("photos", "cat", Body(b"new"), FACTS, "1")
    assert await house.read("photos", "cat") == b"new"


async def test_conditions_hold_between_concurrent_writers(overwriting: House) -> None:
    house = overwriting
    condition = Precondition(none_match="*")

    results = await asyncio.gather(
        *(
            house.objects.put(
                "photos", "cat", Body(os.urandom(150_000)), FACTS, "1", condition=condition
            )
            for _ in range(8)
        ),
        return_exceptions=True,
    )

    refused = [result for result in results if isinstance(result, PreconditionFailed)]
    assert len(refused) == 7


async def test_a_body_that_breaks_off_leaves_no_turn_behind(overwriting: House) -> None:
    house = overwriting

    class Broken(Body):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x" * 100_000
            yield b"x" * 100_000
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await house.objects.put("photos", "cat", Broken(b""), FACTS, "1")

    assert not await house.state.is_changing("photos", "cat")
    assert await house.state.claim_expired_intents(lease=1, limit=10) == []
    await house.objects.put("photos", "cat", Body(b"new"), FACTS, "1")


async def test_a_writer_who_must_wait_too_long_is_told_to_come_back(overwriting: House) -> None:
    house = overwriting
    await promised(house)
    terms = Terms(LEASE, Turns(), patience=0.0)

    async with Lease(house.state, "photos", "cat", terms) as lease:
        with pytest.raises(Busy):
            await lease.settle()


async def test_who_is_alone_stays_so_while_the_storage_takes_its_time(overwriting: House) -> None:
    house = overwriting
    terms = Terms(LEASE, Turns(), alone=600)

    async with Lease(house.state, "photos", "cat", terms) as lease:
        await lease.settle()
        first = lease.intent
        async with asyncio.timeout(5):
            while lease.intent == first:
                await asyncio.sleep(0.005)
        assert await house.state.claim_expired_intents(lease=1, limit=10) == []


@pytest.mark.parametrize(("error", "left"), [(Unreached("down"), []), (Unavailable("?"), ["cat"])])
async def test_a_key_is_free_at_once_where_the_storage_was_not_asked(
    overwriting: House, monkeypatch: pytest.MonkeyPatch, error: Unavailable, left: list[str]
) -> None:
    async def down(*_: object) -> None:
        raise error

    house = overwriting
    with monkeypatch.context() as patch:
        patch.setattr(house.store, "delete", down)
        with pytest.raises(Unavailable):
            await house.objects.delete("photos", "cat", "test")

    house.ahead = 2 * LEASE
    found = await house.state.claim_expired_intents(lease=LEASE, limit=10)
    assert [intent.key for intent in found] == left
