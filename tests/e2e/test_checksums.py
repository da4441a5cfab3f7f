"""The five flexible checksums: sent, verified, stored and answered."""

import base64
import hashlib
import zlib
from collections.abc import Callable
from typing import Any

import anycrc
import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import refused

CONTENT = b"123456789" * 1000
PART = 5 * MIB


def crc(model: str, width: int) -> Callable[[bytes], bytes]:
    return lambda content: int(anycrc.Model(model).calc(content)).to_bytes(width, "big")


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda content: zlib.crc32(content).to_bytes(4, "big"),
    "CRC32C": crc("CRC32C", 4),
    "CRC64NVME": crc("CRC64-NVME", 8),
    "SHA1": lambda content: hashlib.sha1(content).digest(),
    "SHA256": lambda content: hashlib.sha256(content).digest(),
}
every_algorithm = pytest.mark.parametrize("algorithm", DIGESTS)


def checksum(algorithm: str, content: bytes) -> str:
    return base64.b64encode(DIGESTS[algorithm](content)).decode()


@every_algorithm
def test_a_checksum_is_verified_stored_and_answered(
    s3: S3Client, bucket: str, algorithm: str
) -> None:
    value = checksum(algorithm, CONTENT)
    given: Any = {f"Checksum{algorithm}": value}

    put: Any = s3.put_object(Bucket=bucket, Key="cat", Body=CONTENT, **given)
    head: Any = s3.head_object(Bucket=bucket, Key="cat", ChecksumMode="ENABLED")
    got: Any = s3.get_object(Bucket=bucket, Key="cat", ChecksumMode="ENABLED")

    assert got["Body"].read() == CONTENT
    assert [answer[f"Checksum{algorithm}"] for answer in (put, head, got)] == [value] * 3
    assert head["ChecksumType"] == "FULL_OBJECT"


@every_algorithm
def test_a_wrong_checksum_leaves_what_was_there(s3: S3Client, bucket: str, algorithm: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=b"before")
    wrong: Any = {f"Checksum{algorithm}": checksum(algorithm, b"something else")}

    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="cat", Body=CONTENT, **wrong)
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="new", Body=CONTENT, **wrong)

    assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"before"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["cat"]


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_an_algorithm_the_sdk_counts_itself_travels_as_it_likes(
    s3: S3Client, bucket: str, algorithm: Any
) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=CONTENT, ChecksumAlgorithm=algorithm)

    head: Any = s3.head_object(Bucket=bucket, Key="cat", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == checksum(algorithm, CONTENT)


def test_a_content_md5_is_verified(s3: S3Client, bucket: str) -> None:
    right = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()

    s3.put_object(Bucket=bucket, Key="cat", Body=CONTENT, ContentMD5=right)
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="cat", Body=CONTENT, ContentMD5=wrong)
    with refused("InvalidDigest", 400):
        s3.put_object(Bucket=bucket, Key="cat", Body=CONTENT, ContentMD5="not base64")


def test_no_checksum_of_the_whole_comes_with_a_range(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="cat", Body=CONTENT, ChecksumAlgorithm="SHA256")

    got = s3.get_object(Bucket=bucket, Key="cat", Range="bytes=0-3", ChecksumMode="ENABLED")

    assert got["Body"].read() == b"1234"
    assert "ChecksumSHA256" not in got


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("CRC32", "COMPOSITE"),
        ("CRC32", "FULL_OBJECT"),
        ("CRC32C", "COMPOSITE"),
        ("CRC32C", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT"),
        ("SHA1", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
    ],
)
def test_a_multipart_object_has_its_checksum(
    s3: S3Client, bucket: str, algorithm: Any, kind: Any
) -> None:
    contents = [body(PART, 1), body(1000, 2)]
    upload = s3.create_multipart_upload(
        Bucket=bucket, Key="film", ChecksumAlgorithm=algorithm, ChecksumType=kind
    )["UploadId"]
    asked: dict[str, Any] = {"Bucket": bucket, "Key": "film", "UploadId": upload}
    parts: list[Any] = []
    for number, content in enumerate(contents, 1):
        value: Any = {f"Checksum{algorithm}": checksum(algorithm, content)}
        part = s3.upload_part(**asked, PartNumber=number, Body=content, **value)
        parts.append({"PartNumber": number, "ETag": part["ETag"], **value})

    s3.complete_multipart_upload(**asked, MultipartUpload={"Parts": parts})

    head: Any = s3.head_object(Bucket=bucket, Key="film", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == expected(algorithm, kind, contents)
    assert head["ChecksumType"] == kind


def expected(algorithm: str, kind: str, contents: list[bytes]) -> str:
    """S3's checksum of an object in parts: over the bytes, or over the parts' checksums."""
    if kind == "FULL_OBJECT":
        return checksum(algorithm, b"".join(contents))
    digests = b"".join(DIGESTS[algorithm](content) for content in contents)
    return f"{checksum(algorithm, digests)}-{len(contents)}"


def test_attributes_name_size_checksum_and_parts(s3: S3Client, bucket: str) -> None:
    contents = [body(PART, 1), body(1000, 2)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="film", ChecksumAlgorithm="SHA256")
    asked: dict[str, Any] = {"Bucket": bucket, "Key": "film", "UploadId": upload["UploadId"]}
    parts: list[Any] = []
    for number, content in enumerate(contents, 1):
        part = s3.upload_part(**asked, PartNumber=number, Body=content, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        **asked,
        MultipartUpload={
            "Parts": [
                part | {"ChecksumSHA256": checksum("SHA256", content)}
                for part, content in zip(parts, contents, strict=True)
            ]
        },
    )

    found = s3.get_object_attributes(
        Bucket=bucket,
        Key="film",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
    )

    assert found["ObjectSize"] == PART + 1000
    assert found["ETag"] == s3.head_object(Bucket=bucket, Key="film")["ETag"].strip('"')
    assert found["Checksum"]["ChecksumSHA256"] == expected("SHA256", "COMPOSITE", contents)
    listed = found["ObjectParts"]
    assert listed["TotalPartsCount"] == 2
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [
        (1, PART),
        (2, 1000),
    ]
