"""What Azure cannot name is written another way, and read back."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends.errors import InvalidName
from backends.storage.azure.names import (
    blob_of,
    blob_prefix_of,
    broken_rule,
    key_of,
    metadata_name,
    metadata_text,
    require_container,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
TRICKY = st.text(st.sampled_from("%./\\02E5Fa\x00\x7f\x85"), max_size=12)
REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ufffe\uffff]|(^|/)\.\.?(/|\Z)|\.(/|\Z)")


@given(TEXTS | TRICKY)
@example("%%002E")
@example("%%%%002E0025")
@example("%\\")
def test_every_key_comes_back(key: str) -> None:
    assert key_of(blob_of(key)) == key


@given(TEXTS | TRICKY)
def test_no_blob_has_a_name_that_azure_would_change(key: str) -> None:
    assert not REFUSED.search(blob_of(key))


@given(TRICKY, TRICKY)
def test_all_keys_with_a_prefix_are_found_by_it(prefix: str, rest: str) -> None:
    assert blob_of(prefix + rest).startswith(blob_prefix_of(prefix))


@pytest.mark.parametrize(
    "key", ["a/b.txt", "/a//b/", "50% off", "x%5Cy%2520", "gr\xfcn \U0001f600", ".git", "a b+c&d=e"]
)
def test_an_ordinary_key_is_the_name_of_its_blob(key: str) -> None:
    assert blob_of(key) == key
    assert key_of(key) == key
    assert blob_prefix_of(f"{key}/") == f"{key}/"


@pytest.mark.parametrize("name", ["abc", "a-b", "a" * 63, "2026", "x-1-y"])
def test_a_container_may_have_such_a_name(name: str) -> None:
    require_container(name)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("my.bucket", "no dots"),
        ("ab", "3 to 63"),
        ("a" * 64, "3 to 63"),
        ("Photos", "lower-case"),
        ("a_b", "lower-case"),
        ("$web", "lower-case"),
        ("a--b", "one at a time"),
        ("-ab", "one at a time"),
        ("ab-", "one at a time"),
        ("abc\n", "lower-case"),
    ],
)
def test_a_name_that_no_container_can_have_is_told_the_rule(name: str, rule: str) -> None:
    assert rule in broken_rule(name)
    with pytest.raises(InvalidName, match=rule):
        require_container(name)


@given(TEXTS.filter(bool))
def test_every_metadata_name_is_an_identifier_and_comes_back(name: str) -> None:
    written = metadata_name(name)

    assert written.isascii()
    assert written.isidentifier()
    assert written == written.lower()
    assert metadata_text(written) == name
