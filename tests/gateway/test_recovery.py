"""What a crash leaves at each step of a write, and what becomes of it."""

import pytest

from backends.errors import NotFound, Unavailable, UploadNotFound
from backends.model import Event, Facts, Row, Upload, Version
from backends.storage.protocol import StoredPart
from backends.storage.source import BytesSource
from s3proxy.gateway.uploads import Chosen, Whole
from tests.gateway.conftest import FACTS, LEASE, Body, House

LARGE = bytes(range(256)) * 1000


async def begun(
    house: House, data: bytes = LARGE, *, upload: str = "", version: Version | None = None
) -> Row:
    """A write that crashed after its bytes were stored, before its commit."""
    intent = await house.state.begin("photos", "cat", lease=LEASE, upload=upload, version=version)
    facts = Facts(version=intent.version, size=len(data), etag="etag", owner="main")
    stored = await house.store.put("photos", "cat", BytesSource(data, facts))
    return Row("photos", "cat", facts, stored.locator)


def event_of(row: Row) -> Event:
    return Event("ObjectCreated:Put", row.bucket, row.key, row.version)


@pytest.mark.parametrize("data", [b"small", LARGE])
async def test_a_put_that_never_committed_is_undone(house: House, data: bytes) -> None:
    await begun(house, data)
    house.ahead = LEASE + 1

    assert await house.recovery.run() >= 1

    assert await house.stored("photos") == []
    assert house.segments() == []
    with pytest.raises(NotFound):
        await house.objects.find("photos", "cat")
    assert await house.recovery.run() == 0


async def test_an_overwrite_that_never_committed_leaves_the_old_object(house: House) -> None:
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    await begun(house)
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.read("photos", "cat") == b"old"
    assert await house.stored("photos") == ["cat"]


async def test_a_replica_that_never_committed_goes_forward_and_nobody_is_told(
    house: House,
) -> None:
    await house.state.subscribe("group")
    await house.objects.put("photos", "cat", Body(b"old"), FACTS, "1")
    version = Version(2**62, "west")
    row = await begun(house, version=version)
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.objects.find("photos", "cat") == row
    assert await house.read("photos", "cat") == LARGE
    told = await house.state.unread("group", after=0, limit=10)
    assert [event.version.site for _, event in told] == ["here"]
    assert await house.state.unsettled() == 0


async def test_a_replica_that_a_newer_write_overtook_is_dropped(house: House) -> None:
    await begun(house, version=Version(1, "west"))
    await house.objects.put("photos", "cat", Body(b"newer"), FACTS, "2")
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.read("photos", "cat") == b"newer"
    assert house.segments() == []
    assert await house.state.unsettled() == 0


async def test_a_write_under_a_live_lease_is_left_alone(house: House) -> None:
    row = await begun(house)

    assert await house.recovery.run() == 0
    await house.state.commit(row, event_of(row))

    assert await house.read("photos", "cat") == LARGE


async def test_a_write_whose_lease_was_taken_cannot_commit(house: House) -> None:
    intent = await house.state.begin("photos", "cat", lease=LEASE)
    house.ahead = LEASE + 1
    await house.recovery.run()
    facts = Facts(version=intent.version)

    with pytest.raises(Unavailable):
        await house.state.commit(
            Row("photos", "cat", facts), event_of(Row("photos", "cat", facts)), intent=intent
        )


async def test_a_replaced_object_whose_bytes_were_not_dropped_is_cleaned(house: House) -> None:
    await house.objects.put("photos", "cat", Body(LARGE), FACTS, "1")
    await house.objects.put("photos", "cat", Body(b"new"), FACTS, "2")
    assert len(house.segments()) == 1

    house.ahead = LEASE + 1
    await house.recovery.run()

    assert house.segments() == []
    assert await house.read("photos", "cat") == b"new"


async def test_a_deleted_object_whose_bytes_were_not_dropped_is_cleaned(house: House) -> None:
    await house.objects.put("photos", "cat", Body(LARGE), FACTS, "1")
    await house.objects.delete("photos", "cat", "2")

    house.ahead = LEASE + 1
    await house.recovery.run()

    assert house.segments() == []
    assert await house.stored("photos") == []


async def upload_of(house: House) -> Upload:
    return await house.uploads.create(Upload("photos", "cat", "", "", 0, "main"))


async def test_a_completion_that_never_committed_goes_forward(house: House) -> None:
    upload = await upload_of(house)
    part = await house.uploads.put_part(upload, 1, Body(LARGE))
    intent = await house.state.begin("photos", "cat", lease=LEASE, upload=upload.name)
    facts = Facts(version=intent.version, size=len(LARGE), upload=upload.name)
    await house.store.complete_upload(
        "photos", "cat", upload.token, [StoredPart(1, part.token, part.size)], facts
    )
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.read("photos", "cat") == LARGE
    with pytest.raises(UploadNotFound):
        await house.uploads.find("photos", "cat", upload.name)
    assert (await house.uploads.completed("photos", "cat", upload.name)).facts.size == len(LARGE)


async def test_a_completion_that_a_newer_write_overtook_is_dropped(house: House) -> None:
    upload = await upload_of(house)
    part = await house.uploads.put_part(upload, 1, Body(LARGE))
    intent = await house.state.begin("photos", "cat", lease=LEASE, upload=upload.name)
    facts = Facts(version=intent.version, size=len(LARGE), upload=upload.name)
    await house.store.complete_upload(
        "photos", "cat", upload.token, [StoredPart(1, part.token, part.size)], facts
    )
    await house.objects.put("photos", "cat", Body(b"newer"), FACTS, "2")
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert await house.read("photos", "cat") == b"newer"
    assert house.segments() == []
    with pytest.raises(UploadNotFound):
        await house.uploads.find("photos", "cat", upload.name)


async def test_an_abandoned_upload_is_removed_after_its_time(house: House) -> None:
    upload = await upload_of(house)
    await house.uploads.put_part(upload, 1, Body(LARGE))
    house.ahead = LEASE + 1

    await house.recovery.run()

    assert house.segments() == []
    with pytest.raises(UploadNotFound):
        await house.uploads.find("photos", "cat", upload.name)


async def test_a_part_that_outlives_its_upload_is_dropped(house: House) -> None:
    upload = await upload_of(house)
    await house.uploads.abort("photos", "cat", upload.name)

    with pytest.raises(UploadNotFound):
        await house.uploads.put_part(upload, 1, Body(LARGE))

    assert house.segments() == []


async def test_old_tombstones_are_forgotten(house: House) -> None:
    await house.objects.put("photos", "cat", Body(b"x"), FACTS, "1")
    await house.objects.delete("photos", "cat", "2")
    house.ahead = 2 * LEASE

    assert await house.recovery.run() >= 1
    assert await house.recovery.run() == 0


async def test_a_joined_object_is_its_parts_in_order(house: House) -> None:
    upload = await upload_of(house)
    pieces = {2: b"second", 1: bytes(5 * 1024 * 1024)}
    for number, piece in pieces.items():
        await house.uploads.put_part(upload, number, Body(piece))

    await house.uploads.complete(
        upload,
        [Chosen(1, "etag"), Chosen(2, "etag")],
        lambda parts: Whole(f"etag-{len(parts)}", None),
        "3",
    )

    assert await house.read("photos", "cat") == pieces[1] + pieces[2]
    assert (await house.objects.find("photos", "cat")).facts.etag == "etag-2"
