"""`ccs adopt` and `ccs scrub`, over a storage that other programs write into."""

import uuid
from collections.abc import Iterator
from typing import Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import s3_client
from tests.e2e.commands import at, ccs
from tests.e2e.grounds import on_s3
from tests.e2e.server import Server
from tests.e2e.sites import Group, sites
from tests.e2e.waiting import until
from tests.services.foreign import Foreign, S3Writer
from tests.services.process import Service

PREFIX: Final = "shared-"
GROUNDS: Final = ("s3",)
SECONDS: Final = 30
CAT: Final = Foreign("a/cat.txt", b"meow", {"content-type": "text/plain"}, {"colour": "grey"})
DOG: Final = Foreign("dog", b"woof")


def done(server: Server, *arguments: str) -> str:
    """What a job that must find nothing left to do tells in the end."""
    ended = ccs(*arguments, *at(server))
    assert ended.code == 0, ended
    return ended.out


def test_a_bucket_is_adopted_and_scrubbed(server: Server, s3: S3Client, versitygw: Service) -> None:
    writer, bucket = S3Writer(versitygw), f"old{uuid.uuid4().hex}"
    writer.make(bucket)
    for thing in (CAT, DOG):
        writer.put(bucket, thing)
    found = ccs("adopt", bucket, "--dry-run", *at(server))
    assert (found.code, "UNKNOWN" in found.out) == (4, True), found

    assert "done, alike" in done(server, "adopt", bucket)

    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [
        "a/cat.txt",
        "dog",
    ]
    head = s3.head_object(Bucket=bucket, Key="a/cat.txt")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"colour": "grey"})
    s3.put_object(Bucket=bucket, Key="a/cat.txt", Body=b"purr")
    s3.delete_object(Bucket=bucket, Key="dog")
    assert "done, alike" in done(server, "adopt", bucket)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/cat.txt"]
    assert s3.get_object(Bucket=bucket, Key="a/cat.txt")["Body"].read() == b"purr"


def test_what_a_storage_lost_is_told_by_exit_code_and_report(
    server: Server, s3: S3Client, versitygw: Service
) -> None:
    bucket = f"new{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    for key in ("cat", "dog"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert "done, alike" in done(server, "scrub", "--bucket", bucket, "--deep")
    S3Writer(versitygw).delete(bucket, "dog")

    def lost() -> bool:
        """A row is looked at when it is two seconds old."""
        found = ccs("scrub", "--bucket", bucket, *at(server))
        return (found.code, "LOST" in found.out) == (4, True)

    until(lost, "the loss to be found", SECONDS)


@pytest.fixture
def mixed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Group]:
    """East on disk, west over an S3 server."""
    on_west = {**on_s3(request), "CCS_STORAGE__BUCKET_PREFIX": PREFIX}
    with sites(tmp_path_factory.mktemp("mixed"), ["east", "west"], {"west": on_west}) as group:
        yield group


def test_other_sites_get_what_was_adopted_and_give_back_what_was_lost(
    mixed: Group, versitygw: Service
) -> None:
    east, west = mixed
    writer, bucket = S3Writer(versitygw), f"old{uuid.uuid4().hex}"
    writer.make(PREFIX + bucket)
    for thing in (CAT, DOG):
        writer.put(PREFIX + bucket, thing)

    done(west.server, "adopt", bucket, "--announce")

    mixed.until_alike(bucket)
    before = west.content(bucket)
    assert len(before) == 2
    with s3_client(east.server) as reader:
        answer = reader.get_object(Bucket=bucket, Key=CAT.key)
        assert (answer["Body"].read(), answer["ContentType"]) == (CAT.data, "text/plain")
        assert answer["Metadata"] == CAT.metadata
    writer.delete(PREFIX + bucket, CAT.key)
    writer.replace(PREFIX + bucket, Foreign("dog", b"BARK"))

    restored = done(west.server, "scrub", "--bucket", bucket)

    assert ("restored" in restored, west.content(bucket)) == (True, before)
    with s3_client(west.server) as reader:
        for thing in (CAT, DOG):
            answer = reader.get_object(Bucket=bucket, Key=thing.key)
            assert answer["Body"].read() == thing.data
    assert "restored" not in done(west.server, "scrub", "--bucket", bucket, "--deep")
