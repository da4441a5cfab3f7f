"""Conditional reads and writes through boto3 (RFC 9110, 13.1)."""

from datetime import timedelta
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import refused

OTHER = '"0123456789abcdef0123456789abcdef"'


@pytest.fixture
def etag(s3: S3Client, bucket: str) -> str:
    """The ETag of the object `cat`."""
    return s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")["ETag"]


def test_a_read_with_the_right_etag_is_answered(s3: S3Client, bucket: str, etag: str) -> None:
    got = s3.get_object(Bucket=bucket, Key="cat", IfMatch=etag)

    assert got["Body"].read() == b"meow"


def test_a_read_with_another_etag_fails(s3: S3Client, bucket: str, etag: str) -> None:
    with refused("PreconditionFailed", 412):
        s3.get_object(Bucket=bucket, Key="cat", IfMatch=OTHER)
    with refused("412", 412):
        s3.head_object(Bucket=bucket, Key="cat", IfMatch=OTHER)


def test_a_reader_who_has_it_already_is_told_so(s3: S3Client, bucket: str, etag: str) -> None:
    with refused("304", 304):
        s3.get_object(Bucket=bucket, Key="cat", IfNoneMatch=etag)
    with refused("304", 304):
        s3.head_object(Bucket=bucket, Key="cat", IfNoneMatch=etag)


def test_dates_are_conditions_too(s3: S3Client, bucket: str, etag: str) -> None:
    modified = s3.head_object(Bucket=bucket, Key="cat")["LastModified"]

    with refused("304", 304):
        s3.get_object(Bucket=bucket, Key="cat", IfModifiedSince=modified)
    with refused("PreconditionFailed", 412):
        s3.get_object(Bucket=bucket, Key="cat", IfUnmodifiedSince=modified - timedelta(seconds=5))
    s3.get_object(Bucket=bucket, Key="cat", IfModifiedSince=modified - timedelta(seconds=5))


def test_a_write_to_a_free_key_only_happens_once(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="lock", Body=b"first", IfNoneMatch="*")

    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="lock", Body=b"second", IfNoneMatch="*")

    assert s3.get_object(Bucket=bucket, Key="lock")["Body"].read() == b"first"


def test_a_write_over_what_one_read_needs_it_unchanged(
    s3: S3Client, bucket: str, etag: str
) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"purr", IfMatch=etag)

    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="cat", Body=b"hiss", IfMatch=etag)
    with refused("NoSuchKey", 404):
        s3.put_object(Bucket=bucket, Key="dog", Body=b"wuff", IfMatch=etag)

    assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"purr"


def test_a_delete_can_require_an_etag(s3: S3Client, bucket: str, etag: str) -> None:
    with refused("PreconditionFailed", 412):
        s3.delete_object(Bucket=bucket, Key="cat", IfMatch=OTHER)

    s3.delete_object(Bucket=bucket, Key="cat", IfMatch=etag)

    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="cat")


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        ({"CopySourceIfMatch": "own"}, True),
        ({"CopySourceIfMatch": OTHER}, False),
        ({"CopySourceIfNoneMatch": OTHER}, True),
        ({"CopySourceIfNoneMatch": "own"}, False),
    ],
)
def test_a_copy_can_require_its_source(
    s3: S3Client, bucket: str, etag: str, condition: dict[str, str], passes: bool
) -> None:
    asked: dict[str, Any] = {
        name: etag if value == "own" else value for name, value in condition.items()
    }
    source: Any = {"Bucket": bucket, "Key": "cat"}

    if passes:
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, **asked)
    else:
        with refused("PreconditionFailed", 412):
            s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, **asked)


def test_a_completion_is_conditional_too(s3: S3Client, bucket: str, etag: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="cat")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="cat", UploadId=upload, PartNumber=1, Body=b"purr")
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    asked: dict[str, Any] = {"Bucket": bucket, "Key": "cat", "UploadId": upload}

    with refused("PreconditionFailed", 412):
        s3.complete_multipart_upload(**asked, MultipartUpload=parts, IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.complete_multipart_upload(**asked, MultipartUpload=parts, IfMatch=OTHER)
    s3.complete_multipart_upload(**asked, MultipartUpload=parts, IfMatch=etag)

    assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"purr"
