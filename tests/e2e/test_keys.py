"""Keys are opaque: each lives by itself and comes back as it was sent."""

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import refused
from tests.e2e.grounds import ANY_KEY

GROUNDS = ANY_KEY  # storages that take any key

LONGEST = "ü" * 512
ODD_KEYS = [
    "..",
    "../../etc/passwd",
    ".",
    "./a",
    "a/../b",
    "//",
    "a//b",
    "trailing/",
    "with space",
    " leading and trailing ",
    "a+b",
    "100%",
    "%2F",
    "a&b=c",
    "why?",
    "#hash",
    "semi;colon,comma:colon",
    "quote'\"<>\\^`{|}~[]!$*()@",
    "tab\there",
    "line\nfeed",
    "ünïcödé/日本語/🐈",
    "con",
    "x" * 255 + "/" + "y" * 255,
    "z" * 1024,
    LONGEST,
    "index.db",
    "?versions",
]


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
def test_an_odd_key_is_put_got_listed_copied_and_deleted(
    s3: S3Client, bucket: str, key: str
) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"meow")

    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"meow"
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 4
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [one["Key"] for one in s3.list_objects(Bucket=bucket)["Contents"]] == [key]

    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})

    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["copy"]


def test_all_odd_keys_live_side_by_side_in_the_order_of_their_bytes(
    s3: S3Client, bucket: str
) -> None:
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())

    listed = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]

    assert listed == sorted(ODD_KEYS, key=str.encode)
    for key in ODD_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()


def test_a_key_and_a_key_below_it_coexist(s3: S3Client, bucket: str) -> None:
    for key in ("x", "x/", "x/y"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())

    s3.delete_object(Bucket=bucket, Key="x")

    assert s3.get_object(Bucket=bucket, Key="x/")["Body"].read() == b"x/"
    assert s3.get_object(Bucket=bucket, Key="x/y")["Body"].read() == b"x/y"


def test_a_key_longer_than_1024_bytes_is_refused(s3: S3Client, bucket: str) -> None:
    with refused("KeyTooLongError", 400):
        s3.put_object(Bucket=bucket, Key=LONGEST + "x", Body=b"meow")
