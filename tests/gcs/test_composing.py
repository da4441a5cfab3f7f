"""Parts become one object, in as many levels as it takes, and nothing is left of them."""

import pytest
from msgspec.structs import replace

from backends.errors import BackendError, Corrupt, InvalidPart, PreconditionFailed, Unavailable
from backends.storage.gcs import GCSStore
from backends.storage.gcs.checksums import joined
from backends.storage.protocol import StoredPart
from backends.storage.source import BytesSource
from tests.gcs.objects import BUCKET, CHUNK, FIRST, body_of, get, names, put, upload
from tests.stubs.gcs import Stub, Upset
from tests.stubs.gcs_bucket import crc32c

COMPOSE = "^POST .*/compose"


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (32, 1), (33, 2), (64, 3), (1025, 34)])
async def test_any_number_of_parts(stub: Stub, store: GCSStore, count: int, requests: int) -> None:
    bodies = [b"part %d." % number for number in range(count)]
    token, parts = await upload(store, bodies)

    stored = await store.complete_upload(BUCKET, "cat", token, parts, FIRST)

    assert await get(store, "cat", stored.locator) == b"".join(bodies)
    assert stub.buckets[BUCKET].items["cat"].components == count
    assert stub.count(COMPOSE) == requests
    assert names(stub) == ["cat"]


async def test_parts_of_several_chunks_and_empty_ones(stub: Stub, store: GCSStore) -> None:
    bodies = [body_of(2 * CHUNK + 3), b"", body_of(CHUNK), b"end"]
    token, parts = await upload(store, bodies)
    assert stub.count("^PATCH") == 0

    stored = await store.complete_upload(BUCKET, "cat", token, parts, FIRST)

    assert stored.size == sum(map(len, bodies))
    assert await get(store, "cat") == b"".join(bodies)
    assert names(stub) == ["cat"]


async def test_the_last_of_two_attempts_at_a_part_counts(stub: Stub, store: GCSStore) -> None:
    token, [old] = await upload(store, [b"old"])
    again = await store.put_part(BUCKET, "cat", token, 1, BytesSource(b"new", FIRST))

    await store.complete_upload(BUCKET, "cat", token, [StoredPart(1, again, 3)], FIRST)

    assert again != old.token
    assert await get(store, "cat") == b"new"
    assert names(stub) == ["cat"]


async def test_an_abort_leaves_nothing(stub: Stub, store: GCSStore) -> None:
    token, _ = await upload(store, [b"part"] * 40)
    stub.page = 7

    await store.abort_upload(BUCKET, "cat", token)

    assert names(stub) == []


@pytest.mark.parametrize("status", [403, 503])
async def test_a_failed_completion_leaves_the_parts_and_can_be_repeated(
    stub: Stub, store: GCSStore, status: int
) -> None:
    token, parts = await upload(store, [b"part"] * 70)
    before = names(stub)
    stub.upsets = [Upset("^POST .*/o/cat/compose", status=status, times=3)]

    with pytest.raises(BackendError):
        await store.complete_upload(BUCKET, "cat", token, parts, FIRST)

    assert names(stub) == before
    stub.upsets.clear()
    await store.complete_upload(BUCKET, "cat", token, parts, FIRST)
    assert await get(store, "cat") == b"part" * 70
    assert names(stub) == ["cat"]


async def test_a_level_that_fails_leaves_no_intermediate(stub: Stub, store: GCSStore) -> None:
    token, parts = await upload(store, [b"part"] * 70)
    before = names(stub)
    stub.upsets = [Upset(COMPOSE, times=1), Upset(COMPOSE, status=403)]

    with pytest.raises(BackendError):
        await store.complete_upload(BUCKET, "cat", token, parts, FIRST)

    assert names(stub) == before


async def test_parts_that_cannot_be_removed_do_not_spoil_the_completion(
    stub: Stub, store: GCSStore
) -> None:
    token, parts = await upload(store, [b"part"])
    stub.upsets = [Upset("^DELETE", status=503, times=100)]

    await store.complete_upload(BUCKET, "cat", token, parts, FIRST)

    assert await get(store, "cat") == b"part"


@pytest.mark.parametrize("replacing", [None, "", "there"])
@pytest.mark.parametrize("count", [2, 33])
async def test_a_composition_whose_answer_is_lost_has_happened(
    stub: Stub, store: GCSStore, replacing: str | None, count: int
) -> None:
    old = (await put(store, "cat", b"old")).locator if replacing else replacing
    token, parts = await upload(store, [b"part"] * count)
    stub.upsets = [Upset(COMPOSE, lost=True, times=2)]

    stored = await store.complete_upload(BUCKET, "cat", token, parts, FIRST, replacing=old)

    assert await get(store, "cat", stored.locator) == b"part" * count
    assert names(stub) == ["cat"]


async def test_another_writer_in_the_middle_of_a_completion_wins(
    stub: Stub, store: GCSStore
) -> None:
    token, parts = await upload(store, [b"part"])
    stub.upsets = [Upset(COMPOSE, status=412)]

    with pytest.raises(PreconditionFailed):
        await store.complete_upload(BUCKET, "cat", token, parts, FIRST, replacing="")

    assert "cat" not in names(stub)


async def test_a_part_that_is_gone(stub: Stub, store: GCSStore) -> None:
    token, parts = await upload(store, [b"part", b"lost"])
    lost = next(name for name in names(stub) if "/00002-" in name)
    del stub.buckets[BUCKET].items[lost]

    with pytest.raises(InvalidPart):
        await store.complete_upload(BUCKET, "cat", token, parts, FIRST)


@pytest.mark.parametrize("token", ["", "nonsense", "0123456789abcdef-4", "../../cat-4-AAAAAA=="])
async def test_a_token_that_is_none_of_ours(store: GCSStore, token: str) -> None:
    with pytest.raises(InvalidPart):
        await store.complete_upload(BUCKET, "cat", "up", [StoredPart(1, token, 4)], FIRST)


async def test_a_part_that_changed_in_the_storage_is_found_out(stub: Stub, store: GCSStore) -> None:
    token, parts = await upload(store, [b"part", b"good"])
    name = next(name for name in names(stub) if "/00002-" in name)
    stub.buckets[BUCKET].items[name].data = b"evil"

    with pytest.raises(Corrupt):
        await store.complete_upload(BUCKET, "cat", token, parts, FIRST)

    assert "cat" not in names(stub)


async def test_the_facts_of_what_was_joined(store: GCSStore) -> None:
    token, parts = await upload(store, [b"part", b"good"])
    facts = replace(
        FIRST, size=8, etag=f"{'a' * 32}-2", headers={"content-type": "text/css"}, upload="u"
    )

    stored = await store.complete_upload(BUCKET, "cat", token, parts, facts)

    assert await store.head(BUCKET, "cat") == stored
    assert stored.facts == facts


async def test_a_service_that_is_down_is_unavailable(stub: Stub, store: GCSStore) -> None:
    token, parts = await upload(store, [b"part"])
    stub.upsets = [Upset("", status=503, times=100)]

    with pytest.raises(Unavailable):
        await store.complete_upload(BUCKET, "cat", token, parts, FIRST)


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (1, 0, 7), (100, 3, 4096)])
def test_the_checksum_of_joined_pieces(sizes: tuple[int, ...]) -> None:
    pieces = [body_of(size) for size in sizes]

    assert joined((crc32c(piece), len(piece)) for piece in pieces) == crc32c(b"".join(pieces))
