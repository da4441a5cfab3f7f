"""Large objects from other sites, in parts: resumed, overtaken, repeated, given up."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace

from backends.errors import Busy, Corrupt, InvalidPart, Superseded, Unavailable, UploadNotFound
from backends.model import Facts, Part, Upload, Version
from backends.storage.protocol import Stored
from s3proxy.gateway.errors import PartsOutOfOrder
from s3proxy.gateway.listing import Query
from s3proxy.gateway.recovery import REPLICAS_KEPT, Recovery, Retention
from s3proxy.gateway.replicas import upload_name
from s3proxy.gateway.uploads import Chosen
from tests.gateway.conftest import FACTS, LEASE, Body, House
from tests.gateway.replicated import (
    FAR_AHEAD,
    LARGE,
    body,
    digest,
    facts_of,
    settled,
    west,
)

PIECES: Final = (LARGE, os.urandom(300_000), b"the end")
FILES: Final = 2  # of the large pieces
WHOLE: Final = b"".join(PIECES)
CHOSEN: Final = [Chosen(number, digest(piece)) for number, piece in enumerate(PIECES, start=1)]


def facts(version: Version) -> Facts:
    return replace(facts_of(WHOLE, version), etag=f"{digest(WHOLE)}-3")


async def begin(site: House, version: Version) -> list[Part] | None:
    return await site.replicas.begin("photos", "cat", facts(version))


async def send(site: House, version: Version, number: int) -> Part:
    return await site.replicas.put_part("photos", "cat", version, number, body(PIECES[number - 1]))


async def complete(site: House, version: Version) -> bool:
    return await site.replicas.complete("photos", "cat", facts(version), CHOSEN)


async def bring(site: House, version: Version) -> bool:
    assert await begin(site, version) == []
    for number in (3, 1, 2):
        await send(site, version, number)
    return await complete(site, version)


async def gone(site: House, version: Version, *, files: int | None = None) -> None:
    """No upload of that version is there, nor bytes of one; `files` as in `settled`."""
    with pytest.raises(UploadNotFound):
        await site.state.upload("photos", "cat", upload_name("photos", "cat", version))
    await settled(site, files=files)


async def put_here(site: House) -> None:
    await site.objects.put("photos", "cat", Body(b"here"), FACTS, "1")


async def test_parts_become_the_object_with_all_its_facts(site: House) -> None:
    version = west(FAR_AHEAD)
    await put_here(site)

    assert await bring(site, version)

    assert (await site.objects.find("photos", "cat")).facts == facts(version)
    assert (await site.store.head("photos", "cat")).facts == facts(version)
    assert await site.read("photos", "cat") == WHOLE
    await gone(site, version, files=FILES)


async def test_a_repeated_completion_is_answered_as_before(site: House) -> None:
    await bring(site, west(10))

    assert await complete(site, west(10))
    assert await begin(site, west(10)) is None
    await put_here(site)
    assert not await complete(site, west(10))

    with pytest.raises(UploadNotFound):
        await complete(site, west(FAR_AHEAD))
    assert await site.read("photos", "cat") == b"here"


async def test_who_begins_again_goes_on_where_it_was(site: House) -> None:
    assert await begin(site, west(10)) == []
    sent = [await send(site, west(10), number) for number in (1, 3)]

    found = await begin(site, west(10))

    assert found == sent
    assert [part.etag for part in sent] == [digest(PIECES[0]), digest(PIECES[2])]
    await send(site, west(10), 2)
    assert await complete(site, west(10))
    assert await site.read("photos", "cat") == WHOLE


async def test_two_that_begin_at_once_have_one_upload(
    site: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, asked, go_on = site.store.create_upload, asyncio.Event(), asyncio.Event()
    tokens: list[str] = []

    async def slow(bucket: str, key: str, facts: Facts) -> str:
        asked.set()
        await go_on.wait()
        tokens.append(await create(bucket, key, facts))
        return tokens[-1]

    monkeypatch.setattr(site.store, "create_upload", slow)
    first = asyncio.create_task(begin(site, west(10)))
    await asked.wait()

    with pytest.raises(Busy):
        await begin(site, west(10))
    go_on.set()

    assert await first == []
    assert await begin(site, west(10)) == []
    [upload] = await site.state.uploads("photos", prefix="", after=("", ""), limit=10)
    assert [upload.token] == tokens


async def test_objects_of_one_version_do_not_mix_their_parts(site: House) -> None:
    for key, data in (("cat", b"meow"), ("dog", b"woof")):
        await site.replicas.begin("photos", key, facts_of(data, west(10)))
        await site.replicas.put_part("photos", key, west(10), 1, body(data))
    for key, data in (("cat", b"meow"), ("dog", b"woof")):
        chosen = [Chosen(1, digest(data))]
        assert await site.replicas.complete("photos", key, facts_of(data, west(10)), chosen)

    assert await site.read("photos", "cat") == b"meow"
    assert await site.read("photos", "dog") == b"woof"


async def test_parts_that_are_not_those_named_make_nothing_and_can_be_sent_again(
    site: House,
) -> None:
    await begin(site, west(10))
    for number in (1, 2, 3):
        await send(site, west(10), number)
    whole = facts(west(10))
    wrong: list[tuple[list[Chosen], type[Exception]]] = [
        ([*CHOSEN[:2], Chosen(3, "other")], InvalidPart),
        ([*CHOSEN, Chosen(4, "never sent")], InvalidPart),
        (CHOSEN[::-1], PartsOutOfOrder),
        (CHOSEN[:2], Corrupt),
    ]

    for chosen, error in wrong:
        with pytest.raises(error):
            await site.replicas.complete("photos", "cat", whole, chosen)

    assert await site.state.newest("photos", "cat") is None
    assert await site.state.unsettled() == 0
    assert await complete(site, west(10))


async def send_another(site: House, version: Version) -> None:
    with pytest.raises(Superseded):
        await send(site, version, 3)


async def begin_again(site: House, version: Version) -> None:
    assert await begin(site, version) is None


async def complete_it(site: House, version: Version) -> None:
    assert not await complete(site, version)


@pytest.mark.parametrize("ending", [send_another, begin_again, complete_it])
@pytest.mark.parametrize("deleted", [False, True])
async def test_a_newer_change_while_parts_come_ends_the_upload(
    site: House, ending: Callable[[House, Version], Awaitable[None]], *, deleted: bool
) -> None:
    await begin(site, west(10))
    for number in (1, 2, 3):
        await send(site, west(10), number)
    if deleted:
        await site.replicas.delete("photos", "cat", west(20))
    else:
        await put_here(site)

    await ending(site, west(10))

    await gone(site, west(10))
    newest = await site.state.newest("photos", "cat")
    assert newest is not None
    assert newest.deleted == deleted
    assert newest.version > west(10)


async def test_a_newer_write_while_parts_are_joined_wins(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = house.store.complete_upload

    async def joined(*arguments: Any, **named: Any) -> Stored:
        stored = await join(*arguments, **named)
        await put_here(house)
        return stored

    monkeypatch.setattr(house.store, "complete_upload", joined)

    assert not await bring(house, west(10))

    assert await house.read("photos", "cat") == b"here"
    await gone(house, west(10))


async def test_a_completion_that_is_killed_is_finished_by_recovery(
    site: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object, **__: object) -> None:
        raise Unavailable("killed")

    version = west(FAR_AHEAD)
    await put_here(site)
    with monkeypatch.context() as patch:
        patch.setattr(site.state, "commit", killed)
        with pytest.raises(Unavailable):
            await bring(site, version)
    with pytest.raises(Busy):
        await complete(site, version)

    site.ahead = LEASE + 1
    await site.recovery.run()

    assert (await site.objects.find("photos", "cat")).facts == facts(version)
    assert await site.read("photos", "cat") == WHOLE
    assert await complete(site, version)
    await gone(site, version, files=FILES)


async def test_who_is_killed_while_it_begins_hinders_nobody_for_long(site: House) -> None:
    await site.state.begin("photos", "cat", lease=LEASE, version=west(10))
    with pytest.raises(Busy):
        await begin(site, west(10))

    site.ahead = LEASE + 1
    await site.recovery.run()

    assert await bring(site, west(10))


async def test_a_storage_that_has_lost_the_upload_gets_a_new_one(
    site: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise UploadNotFound("lost")

    await begin(site, west(10))
    await send(site, west(10), 1)
    with monkeypatch.context() as patch:
        patch.setattr(site.store, "put_part", lost)
        with pytest.raises(UploadNotFound):
            await send(site, west(10), 2)

    assert await bring(site, west(10))


async def test_parts_that_the_storage_has_lost_are_sent_anew(site: House) -> None:
    await begin(site, west(10))
    for number in (1, 2, 3):
        await send(site, west(10), number)
    name = upload_name("photos", "cat", west(10))
    upload = await site.state.upload("photos", "cat", name)
    await site.store.abort_upload("photos", "cat", upload.token)

    with pytest.raises((InvalidPart, UploadNotFound)):
        await complete(site, west(10))

    assert await bring(site, west(10))


async def test_an_upload_that_is_given_up_leaves_nothing(site: House) -> None:
    await begin(site, west(10))
    await send(site, west(10), 1)

    for _ in range(2):
        await site.replicas.abort("photos", "cat", west(10))

    await gone(site, west(10))
    with pytest.raises(UploadNotFound):
        await send(site, west(10), 2)


@pytest.mark.parametrize("expiry", [None, 2 * REPLICAS_KEPT])
async def test_an_upload_that_is_abandoned_goes_after_its_time(
    site: House, expiry: int | None
) -> None:
    keep = Retention(LEASE, LEASE, expiry)
    recovery = Recovery(site.state, site.store, site.discards, keep)
    clients = await site.uploads.create(Upload("photos", "film", "", "", 0, "main"))
    await begin(site, west(10))
    await send(site, west(10), 1)

    site.ahead = REPLICAS_KEPT - LEASE
    await recovery.run()
    assert await begin(site, west(10)) != []
    site.ahead = REPLICAS_KEPT + LEASE
    await recovery.run()

    await gone(site, west(10))
    assert await site.uploads.find("photos", "film", clients.name) == clients


async def test_no_client_finds_what_another_site_sends(site: House) -> None:
    await begin(site, west(10))
    part = await send(site, west(10), 1)
    name = upload_name("photos", "cat", west(10))

    with pytest.raises(UploadNotFound):
        await site.uploads.find("photos", "cat", name)
    with pytest.raises(UploadNotFound):
        await site.uploads.abort("photos", "cat", name)
    with pytest.raises(UploadNotFound):
        await site.uploads.completed("photos", "cat", name)

    assert await begin(site, west(10)) == [part]


async def test_a_listing_of_uploads_is_paged_past_what_other_sites_send(site: House) -> None:
    clients = [
        await site.uploads.create(Upload("photos", key, "", "", 0, "main"))
        for key in ("a/1", "b", "d/1", "d/2", "e")
    ]
    for key in ("a/1", "a/2", "b", "c", "c/1", "d/2", "f", "g"):
        await site.replicas.begin("photos", key, facts(west(10)))

    found: list[Upload] = []
    place, truncated, pages = ("", ""), True, 0
    while truncated:
        page = await site.uploads.page(Query("photos", after=place[0], limit=2), place[1])
        assert page.truncated == (len(page.uploads) == 2)
        found += page.uploads
        place, truncated, pages = page.last, page.truncated, pages + 1

    assert (found, pages) == (clients, 3)
    rolled = await site.uploads.page(Query("photos", delimiter="/"), "")
    assert rolled.prefixes == ["a/", "d/"]
    assert [upload.key for upload in rolled.uploads] == ["b", "e"]


async def test_a_bucket_with_an_unfinished_replica_can_be_removed(site: House) -> None:
    await begin(site, west(10))
    await send(site, west(10), 1)

    await site.buckets.delete("photos")

    assert site.segments() == []
