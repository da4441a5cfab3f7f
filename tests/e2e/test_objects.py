"""Objects through boto3: what is put is got, whole, in ranges, with all that came with it."""

import io
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import KIB, MIB, body, digest_of, file_of
from tests.e2e.clients import refused
from tests.e2e.grounds import BUFFERED

GROUNDS = BUFFERED
SIZES = [0, 1, 4 * KIB, 64 * KIB + 1, 5 * MIB, 8 * MIB + 3]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_got(s3: S3Client, bucket: str, size: int) -> None:
    content = body(size)

    put = s3.put_object(Bucket=bucket, Key="cat", Body=content)
    got = s3.get_object(Bucket=bucket, Key="cat")

    assert got["Body"].read() == content
    assert (got["ContentLength"], got["ETag"]) == (size, put["ETag"])


def test_a_stream_of_unknown_kind_is_put(s3: S3Client, bucket: str) -> None:
    content = body(3 * MIB)

    s3.put_object(Bucket=bucket, Key="cat", Body=io.BytesIO(content))

    assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == content


def test_a_file_of_64_mib_goes_up_in_parts_and_comes_back(
    s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    source, target = file_of(tmp_path / "source", 64 * MIB + 5), tmp_path / "target"

    s3.upload_file(str(source), bucket, "film")
    s3.download_file(bucket, "film", str(target))

    assert digest_of(target) == digest_of(source)
    assert s3.head_object(Bucket=bucket, Key="film")["ETag"].endswith('-9"')


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-19", slice(10, 20)),
        ("bytes=90000-", slice(90000, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-200000", slice(0, None)),
        ("bytes=99999-200000", slice(99999, None)),
    ],
)
def test_a_range_is_just_that_part(s3: S3Client, bucket: str, asked: str, expected: slice) -> None:
    content = body(100_000)
    s3.put_object(Bucket=bucket, Key="cat", Body=content)

    got = s3.get_object(Bucket=bucket, Key="cat", Range=asked)

    assert got["Body"].read() == content[expected]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    start, stop, _ = expected.indices(len(content))
    assert got["ContentRange"] == f"bytes {start}-{stop - 1}/{len(content)}"


def test_a_range_beyond_the_end_is_refused(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")

    with refused("InvalidRange", 416):
        s3.get_object(Bucket=bucket, Key="cat", Range="bytes=4-")


def test_content_headers_and_metadata_are_kept(s3: S3Client, bucket: str) -> None:
    s3.put_object(
        Bucket=bucket,
        Key="cat",
        Body=b"meow",
        ContentType="text/x-cat",
        ContentEncoding="identity",
        ContentLanguage="en",
        ContentDisposition='attachment; filename="cat.txt"',
        CacheControl="max-age=5",
        Expires="Thu, 01 Dec 2033 16:00:00 GMT",
        StorageClass="STANDARD_IA",
        Metadata={"name": "Tom", "colour": "grey  blue"},
    )

    got = s3.head_object(Bucket=bucket, Key="cat")

    assert (got["ContentType"], got["ContentLanguage"]) == ("text/x-cat", "en")
    assert got["ContentEncoding"] == "identity"
    assert got["ContentDisposition"] == 'attachment; filename="cat.txt"'
    assert (got["CacheControl"], got["StorageClass"]) == ("max-age=5", "STANDARD_IA")
    assert got["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Thu, 01 Dec 2033 16:00:00 GMT"
    assert got["Metadata"]["name"] == "Tom"


def test_aws_chunked_is_no_content_encoding_of_the_object(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")

    assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="cat")


def test_an_overwrite_replaces_body_and_metadata(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=body(MIB), Metadata={"name": "Tom"})
    s3.put_object(Bucket=bucket, Key="cat", Body=b"small")

    got = s3.get_object(Bucket=bucket, Key="cat")

    assert (got["Body"].read(), got["Metadata"]) == (b"small", {})


def test_a_reader_may_rename_the_answers_headers(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow", ContentType="text/plain")

    got = s3.get_object(
        Bucket=bucket,
        Key="cat",
        ResponseContentType="image/png",
        ResponseContentDisposition="inline",
        ResponseCacheControl="no-cache",
    )

    assert (got["ContentType"], got["ContentDisposition"]) == ("image/png", "inline")
    assert got["CacheControl"] == "no-cache"


def test_a_deleted_object_is_gone_and_deleting_again_is_no_error(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")

    for _ in range(2):
        s3.delete_object(Bucket=bucket, Key="cat")

    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="cat")
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="cat")


def test_many_objects_are_deleted_in_one_request(s3: S3Client, bucket: str) -> None:
    keys = ["plain", "a/b", "a b&<c>", "ü"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"meow")

    done = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in [*keys, "never there"]]}
    )

    assert sorted(gone["Key"] for gone in done["Deleted"]) == sorted([*keys, "never there"])
    assert "Errors" not in done
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_quiet_delete_names_only_what_failed(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")

    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "cat"}], "Quiet": True})

    assert "Deleted" not in done
    assert "Errors" not in done


def test_the_owner_is_who_has_full_control(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"meow", ACL="private")

    for acl in (s3.get_object_acl(Bucket=bucket, Key="cat"), s3.get_bucket_acl(Bucket=bucket)):
        [grant] = acl["Grants"]
        assert grant["Permission"] == "FULL_CONTROL"
        assert grant["Grantee"]["ID"] == acl["Owner"]["ID"]
