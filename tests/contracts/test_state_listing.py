"""Listings of every state store: pages put together are all keys, in the order of UTF-8."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.errors import BucketNotFound
from backends.model import Checksum, ChecksumType, Entry, Facts, Row, Upload
from backends.state.protocol import StateStore
from tests.contracts.state_stores import BUCKET, NOON, commit, make_bucket, put, row, version

SAME_STORE_FOR_ALL = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
EDGES = st.sampled_from("\x00\x01/a\x7f\u0080\ud7ff\ue000\uffff\U00010000\U0010ffff")
CHARACTERS = EDGES | st.characters(exclude_categories=["Cs"])
KEYS = st.text(CHARACTERS, min_size=1, max_size=6)
PREFIXES = st.text(CHARACTERS, max_size=2)
fresh = itertools.count()


async def fresh_bucket(state: StateStore) -> str:
    return (await make_bucket(state, f"bucket-{next(fresh)}")).name


async def all_keys(
    state: StateStore, bucket: str, *, prefix: str = "", after: str = "", limit: int = 1000
) -> list[str]:
    """The keys of all pages, one after the other."""
    keys: list[str] = []
    while page := await state.page(bucket, prefix=prefix, after=after, limit=limit):
        assert len(page) <= limit
        keys += [entry.key for entry in page]
        after = keys[-1]
    return keys


async def test_an_entry_shows_what_a_listing_needs(state: StateStore) -> None:
    checksum = Checksum("SHA1", "AA==", ChecksumType.COMPOSITE)
    facts = Facts(
        version(7), size=3, etag="e", owner="o", storage_class="GLACIER_IR", checksum=checksum
    )
    await commit(state, Row(BUCKET, "cat", facts, "there"))
    await commit(state, row(version(8), key="dog"))

    assert await state.page(BUCKET, prefix="", after="", limit=10) == [
        Entry("cat", 7, 3, "e", "o", "GLACIER_IR", "SHA1", "COMPOSITE"),
        Entry("dog", 8, 0, "etag", "", "STANDARD", "", ""),
    ]


async def test_a_listing_of_an_empty_bucket_is_empty_and_one_of_none_is_refused(
    state: StateStore,
) -> None:
    assert await state.page(BUCKET, prefix="", after="", limit=10) == []
    with pytest.raises(BucketNotFound):
        await state.page("nowhere", prefix="", after="", limit=10)


async def test_a_listing_shows_live_objects_once(state: StateStore) -> None:
    for key in ("a", "b", "c", "b"):
        await put(state, key)
    await state.bury(BUCKET, "a", "ObjectRemoved:Delete", "DeleteObject")

    assert await all_keys(state, BUCKET) == ["b", "c"]


async def test_a_listing_stays_in_its_bucket(state: StateStore) -> None:
    await make_bucket(state, "photos-2")
    await put(state, "cat", bucket="photos-2")
    await put(state, "dog")

    assert await all_keys(state, BUCKET) == ["dog"]


@SAME_STORE_FOR_ALL
@given(keys=st.sets(KEYS, max_size=12), prefix=PREFIXES, limit=st.integers(1, 5))
async def test_pages_together_are_the_keys_with_the_prefix_in_order(
    state: StateStore, keys: set[str], prefix: str, limit: int
) -> None:
    bucket = await fresh_bucket(state)
    await asyncio.gather(*(put(state, key, bucket=bucket) for key in keys))

    listed = await all_keys(state, bucket, prefix=prefix, limit=limit)

    assert listed == sorted((key for key in keys if key.startswith(prefix)), key=str.encode)


@SAME_STORE_FOR_ALL
@given(keys=st.sets(KEYS, max_size=12), prefix=PREFIXES, after=KEYS)
async def test_a_listing_starts_above_any_text(
    state: StateStore, keys: set[str], prefix: str, after: str
) -> None:
    bucket = await fresh_bucket(state)
    await asyncio.gather(*(put(state, key, bucket=bucket) for key in keys))

    listed = await all_keys(state, bucket, prefix=prefix, after=after)

    expected = (key for key in keys if key.startswith(prefix) and key > after)
    assert listed == sorted(expected, key=str.encode)


@SAME_STORE_FOR_ALL
@given(
    places=st.sets(st.tuples(KEYS, st.sampled_from("xyz")), max_size=12),
    prefix=PREFIXES,
    limit=st.integers(1, 5),
)
async def test_pages_of_uploads_together_are_all_of_them_in_order(
    state: StateStore, places: set[tuple[str, str]], prefix: str, limit: int
) -> None:
    bucket = await fresh_bucket(state)
    begun = [Upload(bucket, key, name, "token", NOON, "main") for key, name in places]
    await asyncio.gather(*map(state.create_upload, begun))

    listed: list[tuple[str, str]] = []
    after = ("", "")
    while page := await state.uploads(bucket, prefix=prefix, after=after, limit=limit):
        listed += [(upload.key, upload.name) for upload in page]
        after = listed[-1]

    assert listed == sorted(place for place in places if place[0].startswith(prefix))
