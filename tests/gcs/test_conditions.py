"""A generation names just these bytes: reads, deletes and copies heed it."""

import pytest
from msgspec.structs import replace

from backends.errors import NotFound, PreconditionFailed, Refused
from backends.storage.gcs import GCSStore
from backends.storage.protocol import Stored
from tests.gcs.objects import BUCKET, FIRST, get, names, put
from tests.stubs.gcs import Stub, Upset

REWRITE = "^POST .*/rewriteTo/"


async def copy(store: GCSStore, source: Stored, replacing: str | None = None) -> Stored:
    facts = replace(FIRST, size=source.size, etag="b" * 32, headers={"content-type": "text/css"})
    return await store.copy(
        BUCKET, source.key, source.locator, BUCKET, "dog", facts, replacing=replacing
    )


async def test_what_was_replaced_is_not_read(store: GCSStore) -> None:
    old = await put(store, "cat", b"old")
    await put(store, "cat", b"new")

    with pytest.raises(NotFound):
        await get(store, "cat", old.locator)
    with pytest.raises(NotFound):
        await get(store, "cat", old.locator, start=100)
    with pytest.raises(NotFound):
        await get(store, "cat", "nonsense")


async def test_what_was_replaced_is_not_deleted(stub: Stub, store: GCSStore) -> None:
    old = await put(store, "cat", b"old")
    new = await put(store, "cat", b"new")

    await store.delete(BUCKET, "cat", old.locator)
    assert await get(store, "cat", new.locator) == b"new"
    await store.delete(BUCKET, "cat", new.locator)
    assert names(stub) == []


async def test_a_delete_heeds_who_comes_between(stub: Stub, store: GCSStore) -> None:
    """The service itself is told the generation, whatever a look before said."""
    stored = await put(store, "cat", b"old")
    stub.calls.clear()

    await store.delete(BUCKET, "cat", stored.locator)

    assert stub.count(f"^DELETE .*ifGenerationMatch={stored.locator}") == 1


@pytest.mark.parametrize("locator", [True, False])
async def test_a_delete_whose_answer_is_lost(stub: Stub, store: GCSStore, locator: bool) -> None:
    stored = await put(store, "cat", b"old")
    stub.upsets = [Upset("^DELETE", lost=True, times=2)]

    await store.delete(BUCKET, "cat", stored.locator if locator else "")

    assert names(stub) == []


@pytest.mark.parametrize("rewrites", [1, 2, 5])
async def test_a_copy_takes_as_many_requests_as_it_takes(
    stub: Stub, store: GCSStore, rewrites: int
) -> None:
    source = await put(store, "a b/c%d?", b"meow")
    stub.rewrites = rewrites

    copied = await copy(store, source)

    assert stub.count(REWRITE) == rewrites
    assert await store.head(BUCKET, "dog") == copied
    assert await get(store, "dog", copied.locator) == b"meow"


@pytest.mark.parametrize("replacing", [None, "", "there"])
@pytest.mark.parametrize("rewrites", [1, 3])
async def test_a_copy_whose_last_answer_is_lost_has_happened(
    stub: Stub, store: GCSStore, replacing: str | None, rewrites: int
) -> None:
    source = await put(store, "cat", b"meow")
    old = (await put(store, "dog", b"old")).locator if replacing else replacing
    stub.rewrites = rewrites
    stub.upsets = [Upset(REWRITE, times=rewrites - 1), Upset(REWRITE, lost=True)]

    copied = await copy(store, source, old)

    assert await get(store, "dog", copied.locator) == b"meow"


async def test_a_copy_heeds_its_source_and_its_target(stub: Stub, store: GCSStore) -> None:
    old = await put(store, "cat", b"old")
    new = await put(store, "cat", b"new")
    await put(store, "dog", b"there")

    with pytest.raises(NotFound):
        await copy(store, old)
    with pytest.raises(PreconditionFailed):
        await copy(store, new, replacing="")
    with pytest.raises(PreconditionFailed):
        await copy(store, new, replacing="17")

    assert await get(store, "dog") == b"there"


async def test_the_service_is_told_both_generations_of_a_copy(stub: Stub, store: GCSStore) -> None:
    source, old = await put(store, "cat", b"meow"), await put(store, "dog", b"old")
    stub.calls.clear()

    await copy(store, source, old.locator)

    assert stub.count(f"{REWRITE}.*ifGenerationMatch={old.locator}") == 1
    assert stub.count(f"{REWRITE}.*sourceGeneration={source.locator}") == 1


async def test_a_rewrite_that_another_comes_before_is_refused(stub: Stub, store: GCSStore) -> None:
    source = await put(store, "cat", b"meow")
    stub.rewrites = 3
    stub.upsets = [Upset(REWRITE, times=2), Upset(REWRITE, status=412)]

    with pytest.raises(PreconditionFailed):
        await copy(store, source, "")

    assert names(stub) == ["cat"]


async def test_a_rewrite_that_the_service_refuses(stub: Stub, store: GCSStore) -> None:
    source = await put(store, "cat", b"meow")
    stub.upsets = [Upset(REWRITE, status=400)]

    with pytest.raises(Refused):
        await copy(store, source)
