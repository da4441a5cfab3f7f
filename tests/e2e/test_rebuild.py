"""The state lost, and made again from the storage: all lists and reads as before."""

import subprocess
import uuid
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from mypy_boto3_s3.type_defs import CompletedPartTypeDef

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.grounds import GROUNDS
from tests.e2e.server import COMMAND, ROOT, SECOND, Server, environment

STORAGES = ("local", "s3", "azure", "gcs")
TOLD = ("ETag", "ContentLength", "ContentType", "Metadata", "LastModified", "ChecksumCRC32")


def told(s3: S3Client, bucket: str) -> dict[str, Any]:
    """All that clients can see of a bucket."""
    listed = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
    seen: dict[str, Any] = {"listing": listed}
    for entry in listed:
        key = entry["Key"]
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        seen[key] = ({name: head.get(name) for name in TOLD}, content)
    return seen


def fill(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="old", Body=b"first")
    s3.put_object(
        Bucket=bucket, Key="old", Body=b"second", ContentType="text/x-cat", Metadata={"name": "Tom"}
    )
    s3.put_object(Bucket=bucket, Key="a/large ü", Body=body(3 * MIB), ChecksumAlgorithm="CRC32")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    s3.put_object(Bucket=bucket, Key="gone", Body=b"gone")
    s3.delete_object(Bucket=bucket, Key="gone")
    put_in_parts(s3, bucket, "film")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "film"})


def put_in_parts(s3: S3Client, bucket: str, key: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, Metadata={"kind": "film"})
    name = upload["UploadId"]
    parts: list[CompletedPartTypeDef] = []
    for number, size in ((1, 5 * MIB), (3, MIB)):
        part = s3.upload_part(
            Bucket=bucket, Key=key, UploadId=name, PartNumber=number, Body=body(size, number)
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=name, MultipartUpload={"Parts": parts}
    )


def rebuild(server: Server) -> str:
    run = [*COMMAND, "state", "rebuild", "--data", str(server.data)]
    done = subprocess.run(
        run, cwd=ROOT, env=environment(server.settings), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("storage", STORAGES)
def test_all_is_as_before(start: Start, request: pytest.FixtureRequest, storage: str) -> None:
    settings = dict(GROUNDS[storage](request)) if storage in GROUNDS else {}
    settings["CCS_STORAGE__BUCKET_PREFIX"] = f"{uuid.uuid4().hex[:8]}-"
    server = start(workers=1, **settings)
    server.add_key("second", SECOND)
    with s3_client(server) as s3, s3_client(server, SECOND) as other:
        bucket = fresh_bucket(s3)
        foreign = fresh_bucket(other)
        fill(s3, bucket)
        other.put_object(Bucket=foreign, Key="theirs", Body=b"theirs")
        before = told(s3, bucket)
    assert server.stop() == 0
    for lost in server.data.glob("state.db*"):
        lost.unlink()

    assert "2 buckets, 6 objects, of which no gateway wrote 0." in rebuild(server)

    server.start()
    server.add_key("second", SECOND)
    with s3_client(server) as s3, s3_client(server, SECOND) as other:
        assert told(s3, bucket) == before
        assert [found["Name"] for found in s3.list_buckets()["Buckets"]] == [bucket]
        assert [found["Name"] for found in other.list_buckets()["Buckets"]] == [foreign]
        s3.put_object(Bucket=bucket, Key="old", Body=b"third")
        assert s3.get_object(Bucket=bucket, Key="old")["Body"].read() == b"third"
