"""Any key of S3 is the name of an object, and the other way round."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import InvalidName
from backends.storage.gcs import GCSStore
from backends.storage.gcs.names import key_of, name_of, prefixes_of, require_bucket
from tests.gcs.objects import BUCKET, get, put
from tests.stubs.gcs import Stub
from tests.stubs.gcs_bucket import require_name

CHALLENGE = ".well-known/acme-challenge/"
ODD = st.lists(
    st.sampled_from(["%", "%%", "0", "A", "0A", "2E", "25", ".", "/", "\r", "\n", CHALLENGE]),
    min_size=1,
    max_size=8,
).map("".join)
KEYS = [".", "..", "...", ".a", "..a", f"{CHALLENGE}x", ".well-known/x", "50%", "50%%", "50%%0A"]


@given(ODD | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=99))
def test_a_name_is_one_that_the_service_takes(key: str) -> None:
    require_name(name_of(key))

    assert key_of(name_of(key)) == key


@given(ODD, st.integers(0, 20))
def test_every_key_is_found_below_its_prefixes(key: str, length: int) -> None:
    prefix = key[:length]

    assert any(name_of(key).startswith(begin) for begin in prefixes_of(prefix))


@given(ODD, ODD)
def test_no_two_keys_have_one_name(one: str, other: str) -> None:
    assert (name_of(one) == name_of(other)) == (one == other)


@pytest.mark.parametrize("key", ["a b/gr\xfcn?#&%20", "a//b", "x%2Fy", "50%25", "\U0001f600/", "+"])
def test_most_names_are_the_key(key: str) -> None:
    assert name_of(key) == key


@pytest.mark.parametrize("key", [*KEYS, "a\nb", "a\r", "x%2Fy", "50%25 off%0A", "\U0001f600"])
async def test_any_key_can_be_written_and_read(store: GCSStore, key: str) -> None:
    stored = await put(store, key, b"meow")

    assert await get(store, key, stored.locator) == b"meow"
    assert [found.key async for found in store.listing(BUCKET)] == [key]


@pytest.mark.parametrize("name", ["a%0Ab", "50%25 off", "%2E", "a//b", "/a", "gr\xfcn"])
async def test_names_that_others_gave_can_be_read(stub: Stub, store: GCSStore, name: str) -> None:
    stub.buckets[BUCKET].store(name, b"meow", {})

    [found] = [found async for found in store.listing(BUCKET)]

    assert found.key == name
    assert await get(store, found.key, found.locator) == b"meow"


@pytest.mark.parametrize(
    "prefix", ["", ".", "..", ".w", CHALLENGE, f"{CHALLENGE}x", "50%", "50%%0"]
)
@pytest.mark.parametrize("page", [1, 3, 1000])
async def test_any_prefix_finds_its_keys(
    stub: Stub, store: GCSStore, prefix: str, page: int
) -> None:
    stub.page = page
    for key in KEYS:
        await put(store, key, b"")

    found = [stored.key async for stored in store.listing(BUCKET, prefix=prefix)]

    assert sorted(found) == sorted(key for key in KEYS if key.startswith(prefix))
    behind = [stored.key async for stored in store.listing(BUCKET, prefix=prefix, after=found[0])]
    assert behind == found[1:]


@pytest.mark.parametrize("name", ["abc", "a.b-c_d", "a" * 63, "photos.example.com", "gogle"])
def test_a_name_that_a_bucket_can_have(name: str) -> None:
    require_bucket(name)


@pytest.mark.parametrize("name", ["", "a", f"{'a.' * 120}b", "abc\n", "a" * 64 + ".b", "google"])
def test_a_name_that_no_bucket_can_have(name: str) -> None:
    with pytest.raises(InvalidName):
        require_bucket(name)
