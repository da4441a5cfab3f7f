"""Listings, against a model that sorts and groups the plain way."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3proxy.gateway.listing import Query
from tests.gateway.conftest import FACTS, Body, House

KEYS = st.lists(
    st.text(st.sampled_from("ab/é\U0010ffff"), min_size=1, max_size=6), unique=True, max_size=40
)


def model(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """All names a listing shows, common prefixes among them, in order."""
    names = set()
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            names.add(key if at < 0 else key[: at + len(delimiter)])
    return sorted(names)


async def pages(house: House, query: Query) -> list[str]:
    """All names, page by page."""
    names: list[str] = []
    after = ""
    while True:
        page = await house.listing.page(
            Query(query.bucket, query.prefix, query.delimiter, after, query.limit)
        )
        found = sorted([*page.prefixes, *(entry.key for entry in page.entries)])
        assert len(page) <= query.limit
        assert page.truncated is False or page.last == found[-1]
        names += found
        if not page.truncated:
            return names
        after = page.last


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    keys=KEYS,
    prefix=st.text(st.sampled_from("ab/"), max_size=2),
    delimiter=st.sampled_from(["", "/", "b", "/b", "é"]),
    limit=st.integers(1, 7),
)
async def test_pages_together_are_the_whole_listing(
    tmp_path_factory: pytest.TempPathFactory,
    keys: list[str],
    prefix: str,
    delimiter: str,
    limit: int,
) -> None:
    folder: Path = tmp_path_factory.mktemp("house")
    house = House(folder)
    try:
        await house.buckets.create("photos", "main", "")
        for key in keys:
            await house.objects.put("photos", key, Body(b""), FACTS, "1")

        names = await pages(house, Query("photos", prefix, delimiter, "", limit))
    finally:
        await house.store.close()
        await house.state.close()

    assert names == model(keys, prefix, delimiter)


async def test_a_thousand_prefixes_with_many_keys_each_are_jumped_over(house: House) -> None:
    keys = [f"{folder:02}/{number:03}" for folder in range(20) for number in range(50)]
    for key in [*keys, "00", "zz"]:
        await house.objects.put("photos", key, Body(b""), FACTS, "1")

    page = await house.listing.page(Query("photos", delimiter="/"))

    assert page.prefixes == [f"{folder:02}/" for folder in range(20)]
    assert [entry.key for entry in page.entries] == ["00", "zz"]


async def test_no_keys_at_all_may_be_asked_for(house: House) -> None:
    page = await house.listing.page(Query("photos", limit=0))

    assert (len(page), page.truncated) == (0, False)
