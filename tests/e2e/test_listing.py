"""Both listings through boto3, over more keys than a page holds."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.conftest import fresh_bucket
from tests.e2e.grounds import LISTED

GROUNDS = LISTED  # with a state, listings do not depend on what is below

FOLDERS = 50
EACH = 50
KEYS = sorted(f"{folder:02}/{number:02}" for folder in range(FOLDERS) for number in range(EACH))


@pytest.fixture(scope="module")
def library(s3: S3Client) -> str:
    """A bucket with 2,500 keys in 50 folders."""
    bucket = fresh_bucket(s3)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"book"), KEYS))
    return bucket


def pages(s3: S3Client, operation: Any, bucket: str, size: int, **asked: Any) -> list[Any]:
    paginator: Any = s3.get_paginator(operation)
    return list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": size}, **asked))


def keys_of(found: list[Any]) -> list[str]:
    return [one["Key"] for page in found for one in page.get("Contents", ())]


def prefixes_of(found: list[Any]) -> list[str]:
    return [one["Prefix"] for page in found for one in page.get("CommonPrefixes", ())]


both = pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])


@both
@pytest.mark.parametrize("size", [7, 1000, 5000])
def test_pages_hold_every_key_once_in_order(
    s3: S3Client, library: str, operation: str, size: int
) -> None:
    found = pages(s3, operation, library, size)

    assert keys_of(found) == KEYS
    assert max(len(page["Contents"]) for page in found) == min(size, 1000)


@both
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_delimiter_folds_keys_into_folders_over_pages(
    s3: S3Client, library: str, operation: str, size: int
) -> None:
    found = pages(s3, operation, library, size, Delimiter="/")

    assert prefixes_of(found) == [f"{folder:02}/" for folder in range(FOLDERS)]
    assert keys_of(found) == []


@both
def test_a_prefix_narrows_the_listing(s3: S3Client, library: str, operation: str) -> None:
    assert keys_of(pages(s3, operation, library, 30, Prefix="07/")) == KEYS[350:400]
    assert prefixes_of(pages(s3, operation, library, 3, Prefix="1", Delimiter="/")) == [
        f"1{digit}/" for digit in range(10)
    ]
    assert keys_of(pages(s3, operation, library, 30, Prefix="no such")) == []


def test_a_listing_starts_after_a_key(s3: S3Client, library: str) -> None:
    assert keys_of(pages(s3, "list_objects_v2", library, 1000, StartAfter="48/49")) == KEYS[-50:]
    assert keys_of([s3.list_objects(Bucket=library, Marker="49/4")]) == KEYS[-10:]


def test_a_listing_says_how_far_it_came(s3: S3Client, library: str) -> None:
    page = s3.list_objects_v2(Bucket=library, MaxKeys=10)

    assert (page["KeyCount"], page["MaxKeys"], page["IsTruncated"]) == (10, 10, True)
    nothing = s3.list_objects_v2(Bucket=library, MaxKeys=0)
    assert (nothing["KeyCount"], nothing["IsTruncated"]) == (0, False)


def test_an_entry_says_what_head_says(s3: S3Client, library: str) -> None:
    [entry] = s3.list_objects_v2(Bucket=library, Prefix="00/00", FetchOwner=True)["Contents"]
    head = s3.head_object(Bucket=library, Key="00/00")

    assert (entry["Size"], entry["ETag"]) == (head["ContentLength"], head["ETag"])
    assert entry["LastModified"].replace(microsecond=0) == head["LastModified"]
    assert entry["Owner"]["ID"]
