"""Requests, taken apart."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import bucket_of_host, parse_headers, parse_query, split_path, text_of

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ("", "")),
        ("", ("", "")),
        ("/photos", ("photos", "")),
        ("/photos/", ("photos", "")),
        ("/photos/cat", ("photos", "cat")),
        ("/photos//cat", ("photos", "/cat")),
        ("/photos/a/../b", ("photos", "a/../b")),
        ("/photos/%2e%2e/x", ("photos", "../x")),
        ("/photos/a%20b+c/", ("photos", "a b+c/")),
    ],
)
def test_path_style(path: str, expected: tuple[str, str]) -> None:
    assert split_path(path) == expected


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("photos.s3.example.com", "/cat", ("photos", "cat")),
        ("photos.s3.example.com:9000", "/", ("photos", "")),
        ("my.photos.s3.example.com", "/a/b", ("my.photos", "a/b")),
        ("PHOTOS.S3.example.com", "/cat", ("photos", "cat")),
        ("s3.example.com", "/photos/cat", ("photos", "cat")),
        ("other.example.com", "/photos/cat", ("photos", "cat")),
    ],
)
def test_virtual_host_style(host: str, path: str, expected: tuple[str, str]) -> None:
    assert split_path(path, bucket_of_host(host, ("s3.example.com",))) == expected


@given(KEYS)
def test_any_key_survives_its_way_through_a_url(key: str) -> None:
    if len(key.encode()) <= 1024:
        assert split_path(f"/photos/{quote(key, safe='/')}") == ("photos", key)


@pytest.mark.parametrize("length", [1024, 1025])
def test_a_key_has_up_to_1024_bytes(length: int) -> None:
    path = "/photos/" + "%C3%A4" * (length // 2) + "a" * (length % 2)
    if length == 1024:
        assert split_path(path)[1] == "ä" * 512
        return
    with pytest.raises(S3Error) as refused:
        split_path(path)
    assert refused.value.code == "KeyTooLongError"


@pytest.mark.parametrize("path", ["/photos/%ff", "/photos/%c3", "/%80/cat"])
def test_names_that_are_not_utf8_are_refused(path: str) -> None:
    with pytest.raises(S3Error) as refused:
        split_path(path)

    assert refused.value.code == "InvalidURI"


def test_bytes_above_127_must_be_encoded() -> None:
    with pytest.raises(S3Error, match="percent-encoded"):
        text_of("/photos/ü".encode())


def test_a_query_keeps_the_first_value_and_names_without_one() -> None:
    assert parse_query("uploads&prefix=a%2Fb&prefix=c&x=1+2&&=") == {
        "uploads": "",
        "prefix": "a/b",
        "x": "1 2",
        "": "",
    }


def test_repeated_headers_are_joined() -> None:
    assert parse_headers([(b"range", b"a"), (b"x-amz-meta-n", b"1"), (b"x-amz-meta-n", b"2")]) == {
        "range": "a",
        "x-amz-meta-n": "1,2",
    }
