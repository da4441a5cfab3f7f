"""Multipart uploads through boto3: parts, completion, what is listed, what is refused."""

from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import refused
from tests.e2e.grounds import BUFFERED

GROUNDS = BUFFERED
PART = 5 * MIB


class Uploading:
    """One multipart upload of the key `film`."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self.name = s3.create_multipart_upload(
            Bucket=bucket, Key="film", ContentType="video/x-cat", Metadata={"name": "Tom"}
        )["UploadId"]
        self.asked: dict[str, Any] = {"Bucket": bucket, "Key": "film", "UploadId": self.name}

    def part(self, number: int, content: bytes) -> dict[str, Any]:
        etag = self._s3.upload_part(**self.asked, PartNumber=number, Body=content)["ETag"]
        return {"PartNumber": number, "ETag": etag}

    def complete(self, *parts: dict[str, Any]) -> str:
        listed: Any = {"Parts": parts}
        return self._s3.complete_multipart_upload(**self.asked, MultipartUpload=listed)["ETag"]


@pytest.fixture
def upload(s3: S3Client, bucket: str) -> Uploading:
    return Uploading(s3, bucket)


def test_parts_become_one_object(s3: S3Client, bucket: str, upload: Uploading) -> None:
    first, second = body(PART, 1), body(100, 2)

    etag = upload.complete(upload.part(1, first), upload.part(2, second))

    got = s3.get_object(Bucket=bucket, Key="film")
    assert got["Body"].read() == first + second
    assert got["ETag"] == etag
    assert etag.endswith('-2"')
    assert (got["ContentType"], got["Metadata"]) == ("video/x-cat", {"name": "Tom"})


def test_parts_may_come_in_any_order_and_with_gaps(
    s3: S3Client, bucket: str, upload: Uploading
) -> None:
    last = upload.part(10_000, b"end")
    first = upload.part(7, body(PART, 1))

    upload.complete(first, last)

    assert s3.get_object(Bucket=bucket, Key="film")["Body"].read() == body(PART, 1) + b"end"


@pytest.mark.parametrize("sizes", [[0], [PART, 0], [PART, PART, 1]])
def test_the_last_part_may_be_as_small_as_nothing(
    s3: S3Client, bucket: str, upload: Uploading, sizes: list[int]
) -> None:
    contents = [body(size, size) for size in sizes]

    upload.complete(*[upload.part(number, content) for number, content in enumerate(contents, 1)])

    assert s3.get_object(Bucket=bucket, Key="film")["Body"].read() == b"".join(contents)


def test_a_part_sent_again_replaces_the_first(s3: S3Client, bucket: str, upload: Uploading) -> None:
    upload.part(1, b"old")

    upload.complete(upload.part(1, b"new"))

    assert s3.get_object(Bucket=bucket, Key="film")["Body"].read() == b"new"


def test_a_part_of_the_object_can_be_read(s3: S3Client, bucket: str, upload: Uploading) -> None:
    upload.complete(upload.part(1, body(PART)), upload.part(2, b"second"))

    got = s3.get_object(Bucket=bucket, Key="film", PartNumber=2)

    assert (got["Body"].read(), got["PartsCount"]) == (b"second", 2)
    assert got["ContentRange"] == f"bytes {PART}-{PART + 5}/{PART + 6}"


def test_a_completion_sent_again_is_answered_alike(upload: Uploading) -> None:
    part = upload.part(1, b"meow")

    assert upload.complete(part) == upload.complete(part)


def test_nothing_is_seen_before_completion(s3: S3Client, bucket: str, upload: Uploading) -> None:
    upload.part(1, b"meow")

    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="film")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_aborted_upload_is_gone(s3: S3Client, bucket: str, upload: Uploading) -> None:
    part = upload.part(1, b"meow")

    s3.abort_multipart_upload(**upload.asked)

    with refused("NoSuchUpload", 404):
        upload.complete(part)
    with refused("NoSuchUpload", 404):
        upload.part(2, b"meow")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_parts_are_listed_by_page(s3: S3Client, upload: Uploading) -> None:
    for number in (1, 2, 3, 5, 8):
        upload.part(number, body(number))

    pages = s3.get_paginator("list_parts").paginate(
        **upload.asked, PaginationConfig={"PageSize": 2}
    )

    listed = [(part["PartNumber"], part["Size"]) for page in pages for part in page["Parts"]]
    assert listed == [(1, 1), (2, 2), (3, 3), (5, 5), (8, 8)]


def test_uploads_are_listed_by_page_and_prefix(s3: S3Client, bucket: str) -> None:
    names = {
        (key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
        for key in ("a/1", "a/1", "a/2", "b/1", "ü")
    }

    pages = list(
        s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 2}
        )
    )
    folded = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")

    listed = [(one["Key"], one["UploadId"]) for page in pages for one in page["Uploads"]]
    assert (len(listed), set(listed)) == (5, names)
    assert [one["Prefix"] for one in folded["CommonPrefixes"]] == ["a/", "b/"]
    assert [one["Key"] for one in folded["Uploads"]] == ["ü"]


def test_a_part_that_is_too_small_is_refused(upload: Uploading) -> None:
    parts = [upload.part(1, b"small"), upload.part(2, b"last")]

    with refused("EntityTooSmall", 400):
        upload.complete(*parts)


def test_a_part_that_is_another_is_refused(upload: Uploading) -> None:
    upload.part(1, b"meow")

    with refused("InvalidPart", 400):
        upload.complete({"PartNumber": 1, "ETag": '"0123456789abcdef0123456789abcdef"'})
    with refused("InvalidPart", 400):
        upload.complete({"PartNumber": 2, "ETag": '"0123456789abcdef0123456789abcdef"'})


def test_parts_in_the_wrong_order_are_refused(upload: Uploading) -> None:
    first, second = upload.part(1, body(PART)), upload.part(2, body(PART))

    with refused("InvalidPartOrder", 400):
        upload.complete(second, first)


@pytest.mark.parametrize("number", [0, 10_001])
def test_a_part_number_out_of_bounds_is_refused(upload: Uploading, number: int) -> None:
    with refused("InvalidArgument", 400):
        upload.part(number, b"meow")


def test_a_part_is_copied_from_a_range(s3: S3Client, bucket: str, upload: Uploading) -> None:
    content = body(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=content)
    source: Any = {"Bucket": bucket, "Key": "source"}

    whole = s3.upload_part_copy(**upload.asked, PartNumber=1, CopySource=source)
    piece = s3.upload_part_copy(
        **upload.asked, PartNumber=2, CopySource=source, CopySourceRange="bytes=10-19"
    )
    upload.complete(
        {"PartNumber": 1, "ETag": whole["CopyPartResult"]["ETag"]},
        {"PartNumber": 2, "ETag": piece["CopyPartResult"]["ETag"]},
    )

    assert s3.get_object(Bucket=bucket, Key="film")["Body"].read() == content + content[10:20]


def test_a_bucket_with_an_unfinished_upload_can_be_deleted(
    s3: S3Client, bucket: str, upload: Uploading
) -> None:
    upload.part(1, b"meow")

    s3.delete_bucket(Bucket=bucket)

    with refused("NoSuchBucket", 404):
        s3.list_objects_v2(Bucket=bucket)
