"""Server-side copies through boto3."""

from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import refused
from tests.e2e.conftest import fresh_bucket

SOURCE_KEY = "a b/ü+%41?.txt"


@pytest.fixture
def source(s3: S3Client, bucket: str) -> Any:
    """An object with an odd key, a body of a few pieces, and metadata."""
    s3.put_object(
        Bucket=bucket,
        Key=SOURCE_KEY,
        Body=body(3 * MIB),
        ContentType="text/x-cat",
        Metadata={"name": "Tom"},
    )
    return {"Bucket": bucket, "Key": SOURCE_KEY}


def test_a_copy_has_the_sources_body_and_metadata(s3: S3Client, bucket: str, source: Any) -> None:
    target = fresh_bucket(s3)

    done = s3.copy_object(Bucket=target, Key="copy", CopySource=source)

    got = s3.get_object(Bucket=target, Key="copy")
    assert got["Body"].read() == body(3 * MIB)
    assert (got["ContentType"], got["Metadata"]) == ("text/x-cat", {"name": "Tom"})
    assert done["CopyObjectResult"]["ETag"] == got["ETag"]


def test_a_copy_can_replace_metadata(s3: S3Client, bucket: str, source: Any) -> None:
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource=source,
        MetadataDirective="REPLACE",
        ContentType="image/png",
        Metadata={"name": "Jerry"},
    )

    got = s3.head_object(Bucket=bucket, Key="copy")
    assert (got["ContentType"], got["Metadata"]) == ("image/png", {"name": "Jerry"})


def test_an_object_copied_onto_itself_must_change(s3: S3Client, bucket: str, source: Any) -> None:
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=bucket, Key=SOURCE_KEY, CopySource=source)

    s3.copy_object(
        Bucket=bucket,
        Key=SOURCE_KEY,
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"name": "Jerry"},
    )

    got = s3.get_object(Bucket=bucket, Key=SOURCE_KEY)
    assert (got["Body"].read(), got["Metadata"]) == (body(3 * MIB), {"name": "Jerry"})


def test_a_copy_outlives_its_source(s3: S3Client, bucket: str, source: Any) -> None:
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)

    s3.delete_object(**source)

    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body(3 * MIB)


def test_a_large_object_is_copied_in_parts(s3: S3Client, bucket: str) -> None:
    content = body(20 * MIB)
    s3.put_object(Bucket=bucket, Key="film", Body=content)

    s3.copy({"Bucket": bucket, "Key": "film"}, bucket, "copy")

    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == content


def test_a_copy_of_nothing_is_refused(s3: S3Client, bucket: str) -> None:
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    with refused("NoSuchBucket", 404):
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": f"{bucket}-not", "Key": "a"})
