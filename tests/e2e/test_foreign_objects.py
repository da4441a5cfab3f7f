"""A storage that existed before: the simple gateway shows its objects as they are."""

import gzip
import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.services.foreign import AzureWriter, Foreign, GCSWriter, S3Writer, Writer
from tests.services.process import Service

WRITERS: Final[Mapping[str, tuple[str, Callable[[Service], Writer]]]] = {
    "s3 simple": ("versitygw", S3Writer),
    "azure simple": ("azurite", AzureWriter),
    "gcs simple": ("fake_gcs", GCSWriter),
}
GROUNDS: Final = tuple(WRITERS)
ODD_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "s3 simple": {"a.b_c": "1", "x-y": "two words"},
    "azure simple": {"Colour": "1", "under_score": "two words"},
    "gcs simple": {"Colour": "1", "under_score": "two words", "Some Name": "3", "caf\xe9": "4"},
}
SEEN: Final[Mapping[str, Mapping[str, str]]] = {
    "s3 simple": {"a.b_c": "1", "x-y": "two words"},
    "azure simple": {"colour": "1", "under_score": "two words"},
    "gcs simple": {"colour": "1", "under_score": "two words"},
}
PLAIN: Final = Foreign(
    "a folder/plain.txt",
    b"written by another program",
    {
        "content-type": "text/plain",
        "cache-control": "no-cache",
        "content-disposition": 'attachment; filename="a.txt"',
        "content-language": "de",
    },
    {"colour": "green"},
)
PACKED: Final = Foreign(
    "packed.gz",
    gzip.compress(b"meow" * 1000),
    {"content-type": "text/plain", "content-encoding": "gzip"},
)
OTHERS: Final = (
    Foreign("empty"),
    Foreign("a folder/", headers={"content-type": "application/x-directory"}),
    Foreign("a folder/deep/er.bin", body(1000)),
    Foreign("gr\xfcn/\u65e5\u672c \U0001f600+1.txt", b"unicode"),
    Foreign("50% off?#&=;'\"", b"signs"),
)
ALL: Final = (PLAIN, PACKED, *OTHERS)


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> str:
    """Which storage the gateway stands on."""
    return str(request.node.callspec.params["server"])


@pytest.fixture
def writer(request: pytest.FixtureRequest, ground: str) -> Writer:
    service, make = WRITERS[ground]
    return make(request.getfixturevalue(service))


@pytest.fixture
def existing(writer: Writer) -> str:
    """A bucket that another program has made."""
    name = f"old{uuid.uuid4().hex}"
    writer.make(name)
    return name


@pytest.fixture
def filled(writer: Writer, existing: str) -> str:
    for thing in ALL:
        writer.put(existing, thing)
    return existing


def test_a_bucket_of_another_program_is_listed(s3: S3Client, existing: str) -> None:
    assert existing in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    s3.head_bucket(Bucket=existing)


def test_objects_of_another_program_are_listed(s3: S3Client, filled: str) -> None:
    found = s3.list_objects_v2(Bucket=filled)["Contents"]

    assert [one["Key"] for one in found] == sorted((one.key for one in ALL), key=str.encode)
    for one in found:
        told = s3.head_object(Bucket=filled, Key=one["Key"])
        assert (told["ContentLength"], told["ETag"]) == (one["Size"], one["ETag"])
        assert told["LastModified"] == one["LastModified"].replace(microsecond=0)


def test_folders_of_another_program_are_listed(s3: S3Client, filled: str) -> None:
    top = s3.list_objects_v2(Bucket=filled, Delimiter="/")
    inside = s3.list_objects_v2(Bucket=filled, Delimiter="/", Prefix="a folder/")

    assert [one["Prefix"] for one in top["CommonPrefixes"]] == ["a folder/", "gr\xfcn/"]
    assert [one["Key"] for one in top["Contents"]] == ["50% off?#&=;'\"", "empty", "packed.gz"]
    assert [one["Prefix"] for one in inside["CommonPrefixes"]] == ["a folder/deep/"]
    assert [one["Key"] for one in inside["Contents"]] == ["a folder/", "a folder/plain.txt"]


def test_a_listing_goes_on_page_by_page(s3: S3Client, filled: str) -> None:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=filled, PaginationConfig={"PageSize": 2}
    )

    keys = [one["Key"] for page in pages for one in page["Contents"]]
    assert keys == sorted((one.key for one in ALL), key=str.encode)


@pytest.mark.parametrize("thing", ALL, ids=lambda thing: thing.key)
def test_an_object_of_another_program_is_read(s3: S3Client, filled: str, thing: Foreign) -> None:
    answer = s3.get_object(Bucket=filled, Key=thing.key)

    assert answer["ETag"] == f'"{thing.md5}"'
    assert answer["Body"].read() == thing.data
    if thing.data:
        piece = s3.get_object(Bucket=filled, Key=thing.key, Range="bytes=3-5")
        assert piece["Body"].read() == thing.data[3:6]


def test_content_headers_and_metadata_of_another_program(s3: S3Client, filled: str) -> None:
    told = s3.head_object(Bucket=filled, Key=PLAIN.key)

    assert told["ContentType"] == "text/plain"
    assert told["CacheControl"] == "no-cache"
    assert told["ContentDisposition"] == 'attachment; filename="a.txt"'
    assert told["ContentLanguage"] == "de"
    assert told["Metadata"] == {"colour": "green"}


def test_what_is_packed_stays_packed(s3: S3Client, filled: str) -> None:
    answer = s3.get_object(Bucket=filled, Key=PACKED.key)

    assert answer["ContentEncoding"] == "gzip"
    assert answer["ContentLength"] == len(PACKED.data)
    assert gzip.decompress(answer["Body"].read()) == b"meow" * 1000


def test_metadata_with_odd_names(s3: S3Client, writer: Writer, existing: str, ground: str) -> None:
    """Names that no header can have are left out, as S3 does, and counted."""
    writer.put(existing, Foreign("cat", b"meow", metadata=ODD_NAMES[ground]))

    told = s3.head_object(Bucket=existing, Key="cat")

    assert told["Metadata"] == SEEN[ground]
    missing = len(ODD_NAMES[ground]) - len(SEEN[ground])
    assert told.get("MissingMeta", 0) == missing


def test_a_large_object_made_of_parts(s3: S3Client, writer: Writer, existing: str) -> None:
    thing = Foreign("large", body(11 * MIB))
    writer.put_parts(existing, thing)

    [listed] = s3.list_objects_v2(Bucket=existing)["Contents"]
    answer = s3.get_object(Bucket=existing, Key="large")

    assert (listed["Size"], listed["ETag"]) == (11 * MIB, answer["ETag"])
    assert hashlib.md5(answer["Body"].read()).hexdigest() == thing.md5
    tail = s3.get_object(Bucket=existing, Key="large", Range="bytes=-5")
    assert tail["Body"].read() == thing.data[-5:]
    again = s3.get_object(Bucket=existing, Key="large", IfMatch=listed["ETag"])
    assert again["ContentLength"] == 11 * MIB


def test_an_object_of_another_program_can_be_copied_and_deleted(s3: S3Client, filled: str) -> None:
    s3.copy_object(Bucket=filled, Key="copy", CopySource={"Bucket": filled, "Key": PLAIN.key})
    s3.delete_object(Bucket=filled, Key=PLAIN.key)

    told = s3.get_object(Bucket=filled, Key="copy")
    assert told["Body"].read() == PLAIN.data
    assert told["Metadata"] == {"colour": "green"}
    assert "plain.txt" not in str(s3.list_objects_v2(Bucket=filled, Prefix="a folder/plain"))
