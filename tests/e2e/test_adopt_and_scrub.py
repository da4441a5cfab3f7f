"""`ccs adopt` and `ccs scrub`, over a storage that other programs write into."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import refused, s3_client
from tests.e2e.commands import at, ccs, remote_of, told
from tests.e2e.grounds import on_s3
from tests.e2e.server import Server
from tests.e2e.sites import Group, sites
from tests.e2e.waiting import until
from tests.services.foreign import Foreign, S3Writer
from tests.services.process import Service

PREFIX: Final = "shared-"
GROUNDS: Final = ("s3",)
SECONDS: Final = 30
PAGE: Final = 1000
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


def test_clients_see_what_the_job_has_not_come_to(
    server: Server, s3: S3Client, versitygw: Service
) -> None:
    """Its first page has a thousand objects, and it stops behind that; then it is cancelled."""
    writer, bucket = S3Writer(versitygw), f"old{uuid.uuid4().hex}"
    writer.make(bucket)
    later = [Foreign(f"z/{n}", b"%d" % n, {}, {"number": f"{n}"}) for n in range(4)]
    with ThreadPoolExecutor(8) as pool:
        things = [*(Foreign(f"a/{n:04}") for n in range(PAGE)), *later]
        list(pool.map(partial(writer.put, bucket), things))
    pace = ("--objects-per-second", "1", "--expires-days", "2", "--detach")
    job = told(server, "adopt", bucket, *pace).strip()
    until(lambda: remote_of(server).get("jobs", job)["done"] == PAGE, "a page", SECONDS)

    assert s3.get_object(Bucket=bucket, Key="z/0")["Body"].read() == b"0"
    head = s3.head_object(Bucket=bucket, Key="z/1")
    assert (head["Metadata"], "expiry-date" in head["Expiration"]) == ({"number": "1"}, True)
    assert ccs("reconcile", "cancel", job, *at(server)).code == 0
    until(lambda: standing(server, job) == "cancelled", "the end", SECONDS)
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="z/2", Body=b"new", IfNoneMatch="*")
    s3.delete_object(Bucket=bucket, Key="z/3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="z/")["Contents"]
    assert [one["Key"] for one in listed] == ["z/0", "z/1", "z/2"]

    assert "done, alike" in done(server, "adopt", bucket)

    listed = s3.list_objects_v2(Bucket=bucket, Prefix="z/")["Contents"]
    assert [one["Key"] for one in listed] == ["z/0", "z/1", "z/2"]
    assert s3.head_object(Bucket=bucket, Key="z/1")["Metadata"] == {"number": "1"}


def standing(server: Server, job: str) -> Any:
    return remote_of(server).get("jobs", job)["standing"]


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


def test_other_sites_get_what_nobody_told_them_of(mixed: Group, versitygw: Service) -> None:
    """Adopted objects have versions of no site: read from afar, compared and sent like others."""
    east, west = mixed
    writer, bucket = S3Writer(versitygw), f"old{uuid.uuid4().hex}"
    writer.make(PREFIX + bucket)
    for thing in (CAT, DOG):
        writer.put(PREFIX + bucket, thing)
    done(west.server, "adopt", bucket)

    with s3_client(east.server) as reader:
        until(lambda: bucket in names(reader), "the bucket", SECONDS)
        answer = reader.get_object(Bucket=bucket, Key=CAT.key)
        assert (answer["Body"].read(), answer["Metadata"]) == (CAT.data, CAT.metadata)
    done(east.server, "reconcile", "start", "--bucket", bucket)

    mixed.until_alike(bucket)
    assert len(east.content(bucket)) == 2


def names(s3: S3Client) -> list[str]:
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


@pytest.fixture(scope="module")
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
