"""Buckets through boto3: made, listed, found, removed, and never another client's."""

import uuid
from collections.abc import Iterator

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import refused, s3_client
from tests.e2e.conftest import fresh_bucket
from tests.e2e.server import FIRST, SECOND, Key, Server


@pytest.fixture
def other(server: Server) -> Iterator[S3Client]:
    """The second client."""
    with s3_client(server, SECOND) as client:
        yield client


def test_a_bucket_lives_from_create_to_delete(s3: S3Client) -> None:
    bucket = fresh_bucket(s3)

    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert bucket in {found["Name"] for found in s3.list_buckets()["Buckets"]}

    s3.delete_bucket(Bucket=bucket)

    with refused("404", 404):
        s3.head_bucket(Bucket=bucket)
    assert bucket not in {found["Name"] for found in s3.list_buckets()["Buckets"]}


def test_making_ones_own_bucket_again_is_no_error(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")

    s3.create_bucket(Bucket=bucket)

    assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"meow"


def test_a_bucket_with_objects_is_not_deleted(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")

    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)


def test_buckets_are_listed_by_prefix_and_page(s3: S3Client) -> None:
    prefix = f"page-{uuid.uuid4().hex[:8]}-"
    names = [f"{prefix}{number}" for number in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name)

    pages = s3.get_paginator("list_buckets").paginate(
        Prefix=prefix, PaginationConfig={"PageSize": 2}
    )

    assert [[found["Name"] for found in page["Buckets"]] for page in pages] == [
        names[:2],
        names[2:4],
        names[4:],
    ]


def test_a_bucket_is_where_it_was_asked_to_be(s3: S3Client) -> None:
    bucket = f"bucket-{uuid.uuid4().hex}"

    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )

    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-central-1"


def test_a_bucket_was_never_versioned(s3: S3Client, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


@pytest.mark.parametrize("name", ["UPPER", "under_score", "a..b", "-dash", "192.168.0.1"])
def test_a_name_against_the_rules_is_refused(s3: S3Client, name: str) -> None:
    with refused("InvalidBucketName", 400):
        s3.create_bucket(Bucket=name)


def test_another_clients_bucket_is_refused(s3: S3Client, other: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")

    with refused("AccessDenied", 403):
        other.get_object(Bucket=bucket, Key="cat")
    with refused("AccessDenied", 403):
        other.put_object(Bucket=bucket, Key="cat", Body=b"hiss")
    with refused("AccessDenied", 403):
        other.list_objects_v2(Bucket=bucket)
    with refused("AccessDenied", 403):
        other.delete_bucket(Bucket=bucket)
    with refused("BucketAlreadyExists", 409):
        other.create_bucket(Bucket=bucket)

    assert bucket not in {found["Name"] for found in other.list_buckets()["Buckets"]}
    assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"meow"


def test_a_copy_out_of_another_clients_bucket_is_refused(
    s3: S3Client, other: S3Client, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")
    own = fresh_bucket(other)

    with refused("AccessDenied", 403):
        other.copy_object(Bucket=own, Key="stolen", CopySource={"Bucket": bucket, "Key": "cat"})


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (Key(FIRST.access, "not-the-secret"), "SignatureDoesNotMatch"),
        (Key("NOBODYSKEY", "not-the-secret"), "InvalidAccessKeyId"),
    ],
)
def test_who_is_not_who_they_say_is_refused(
    server: Server, bucket: str, key: Key, code: str
) -> None:
    with s3_client(server, key) as stranger:
        with refused(code, 403):
            stranger.list_objects_v2(Bucket=bucket)
        with refused(code, 403):
            stranger.put_object(Bucket=bucket, Key="cat", Body=b"meow")


def test_an_unknown_bucket_and_an_unknown_key_are_told_apart(s3: S3Client, bucket: str) -> None:
    with refused("NoSuchBucket", 404):
        s3.get_object(Bucket=f"{bucket}-not", Key="cat")
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="cat")
    with refused("NoSuchBucket", 404):
        s3.put_object(Bucket=f"{bucket}-not", Key="cat", Body=b"meow")
    with refused("NoSuchBucket", 404):
        s3.list_objects_v2(Bucket=f"{bucket}-not")


def test_what_is_not_built_is_refused_and_changes_nothing(s3: S3Client, bucket: str) -> None:
    with refused("NotImplemented", 501):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with refused("NotImplemented", 501):
        s3.delete_public_access_block(Bucket=bucket)
    with refused("NotImplemented", 501):
        s3.put_object(Bucket=bucket, Key="cat", Body=b"meow", ServerSideEncryption="AES256")
    with refused("NoSuchLifecycleConfiguration", 404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)

    s3.head_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
