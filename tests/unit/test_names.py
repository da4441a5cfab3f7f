"""Bucket names, by the rules of S3."""

import pytest

from s3proxy.gateway.errors import InvalidBucketName
from s3proxy.gateway.names import require_bucket_name


@pytest.mark.parametrize(
    "name", ["abc", "a-b", "a.b", "1ab", "my.bucket-2", "a" * 63, "foo.bar.baz", "a--b"]
)
def test_good_names_are_taken(name: str) -> None:
    require_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "ab",
        "a" * 64,
        "Abc",
        "a_b",
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "a..b",
        "a.-b",
        "a-.b",
        "192.168.5.123",
        "xn--abc",
        "sthree-abc",
        "abc-s3alias",
        "abc--ol-s3",
        "a/b",
        "..",
        "a b",
        "abc\n",
        "äbc",
    ],
)
def test_bad_names_are_refused_with_a_reason(name: str) -> None:
    with pytest.raises(InvalidBucketName, match=r"bucket name|reserved"):
        require_bucket_name(name)
