"""Sites that differ, made alike by jobs while they serve: as operators and clients see it."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import s3_client
from tests.e2e.commands import Ended, at, ccs, told
from tests.e2e.sites import Group, Member, sites
from tests.e2e.waiting import until
from tests.services.faults import Act, Fault

SECONDS: Final = 60
YOUNG: Final = 2.1  # what is written later is left to replication
PUSHED_ALONE: Final = {"CCS_SITES__REMOTE_READ": "off"}
NAMES: Final = ("east", "north", "west")
DIFFERENT: Final = 4
Line = dict[str, Any]


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """Three sites; what one has, the others get only while no rule is in the way."""
    folder = tmp_path_factory.mktemp("trio")
    with sites(folder, NAMES, dict.fromkeys(NAMES, PUSHED_ALONE)) as group:
        yield group


@contextmanager
def apart(group: Group) -> Iterator[None]:
    """Nothing is replicated while the block runs, nor afterwards of what was written in it."""
    group[0].call("PUT", "/rules/apart", {"buckets": ["nothing"]})
    until(lambda: all(has_rule(member) for member in group), "the rule everywhere", SECONDS)
    yield
    until(lambda: all(map(is_idle, group)), "all changes to be passed over", SECONDS)
    group[0].call("DELETE", "/rules/apart")
    until(lambda: not any(has_rule(member) for member in group), "no rule anywhere", SECONDS)
    written = time.monotonic()
    until(lambda: time.monotonic() > written + YOUNG, "what was written not to be young", SECONDS)


def is_idle(member: Member) -> bool:
    """Whether no change waits for another site."""
    return not any(target["backlog"] for target in member.call("GET", "/status")["targets"])


def has_rule(member: Member) -> bool:
    return bool(member.call("GET", "/rules")["rules"])


def filled(member: Member, bucket: str, keys: Sequence[str], body: bytes = b"x") -> None:
    with s3_client(member.server) as s3:
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"at": member.name})


def lines(member: Member, job: str) -> list[Line]:
    """The report of a job."""
    return [
        json.loads(line)
        for line in told(member.server, "reconcile", "report", job, "--ndjson").splitlines()
    ]


def reconciled(member: Member, *options: str) -> Ended:
    return ccs("reconcile", "start", *options, *at(member.server))


def job_of(ended: Ended) -> str:
    return ended.out.partition(":")[0]


@pytest.fixture
def bucket(trio: Group, request: pytest.FixtureRequest) -> str:
    """A bucket that all have."""
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    with s3_client(trio[0].server) as s3:
        s3.create_bucket(Bucket=name)
    until(lambda: all(name in buckets(member) for member in trio), f"{name} everywhere", SECONDS)
    return name


def buckets(member: Member) -> set[str]:
    with s3_client(member.server) as s3:
        return {one["Name"] for one in s3.list_buckets()["Buckets"]}


def test_sites_that_are_full_and_different_end_alike(trio: Group, bucket: str) -> None:
    east, north, west = trio
    filled(east, bucket, ["same", "changed", "deleted"])
    trio.until_alike(bucket)
    with apart(trio):
        filled(east, bucket, ["only-east"])
        filled(west, bucket, ["only-west", "changed"], b"newer")
        with s3_client(north.server) as s3:
            s3.delete_object(Bucket=bucket, Key="deleted")

    before = [member.content(bucket) for member in trio]
    dry = reconciled(east, "--bucket", bucket, "--dry-run")
    assert (dry.code, [member.content(bucket) for member in trio]) == (DIFFERENT, before)
    assert {
        (line["kind"], line["key"], line["site"], line["action"])
        for line in lines(east, job_of(dry))
    } == {
        ("ONLY_HERE", "only-east", "north", "COPY"),
        ("ONLY_HERE", "only-east", "west", "COPY"),
        ("MISSING", "only-west", "east", "COPY"),
        ("ONLY_HERE", "only-west", "north", "COPY"),
        ("VERSION", "changed", "east", "COPY"),
        ("VERSION", "changed", "north", "COPY"),
        ("TOMBSTONE", "deleted", "east", "DELETE"),
        ("TOMBSTONE", "deleted", "west", "DELETE"),
    }

    done = reconciled(east, "--bucket", bucket)
    assert (done.code, done.errors) == (0, "")
    assert {line["result"] for line in lines(east, job_of(done))} == {"APPLIED"}
    assert trio.alike(bucket)
    for member in trio:
        with s3_client(member.server) as s3:
            assert s3.get_object(Bucket=bucket, Key="changed")["Body"].read() == b"newer"
            assert s3.head_object(Bucket=bucket, Key="only-west")["Metadata"] == {"at": "west"}
            with pytest.raises(ClientError):
                s3.head_object(Bucket=bucket, Key="deleted")
    again = reconciled(north, "--bucket", bucket)
    assert (again.code, lines(north, job_of(again))) == (0, [])


def test_what_one_site_of_three_lacks_is_copied_there_and_nothing_else_is_done(
    trio: Group, bucket: str
) -> None:
    east, north, _west = trio
    with apart(trio):
        filled(east, bucket, ["a"])
    reconciled(east, "--bucket", bucket, "--site", "north")

    done = reconciled(north, "--bucket", bucket)

    assert done.code == 0
    assert [
        (line["kind"], line["site"], line["action"]) for line in lines(north, job_of(done))
    ] == [("ONLY_HERE", "west", "COPY")]
    assert trio.alike(bucket)


def test_a_source_gives_and_takes_nothing(trio: Group, bucket: str) -> None:
    east, _, west = trio
    filled(east, bucket, ["both"])
    trio.until_alike(bucket)
    with apart(trio):
        filled(east, bucket, ["only-east"])
        filled(west, bucket, ["only-west", "both"], b"newer")

    done = reconciled(east, "--bucket", bucket, "--site", "west", "--source", "east")
    kept = {(line["key"], line["result"]) for line in lines(east, job_of(done))}

    assert done.code == DIFFERENT
    assert ("only-east", "APPLIED") in kept
    assert ("both", "KEPT") in kept
    with s3_client(west.server) as s3:
        assert s3.get_object(Bucket=bucket, Key="both")["Body"].read() == b"newer"
    assert (bucket, "only-west") not in east.content(bucket)


def test_more_deletes_than_allowed_change_nothing(trio: Group, bucket: str) -> None:
    east, _north, west = trio
    filled(east, bucket, ["a", "b", "c"])
    trio.until_alike(bucket)
    with apart(trio), s3_client(west.server) as s3:
        for key in ("a", "b", "c"):
            s3.delete_object(Bucket=bucket, Key=key)
        filled(west, bucket, ["new"])

    before = [member.content(bucket) for member in trio]
    refused = reconciled(east, "--bucket", bucket, "--site", "west", "--max-deletes", "2")
    unchanged = [member.content(bucket) for member in trio]
    done = reconciled(east, "--bucket", bucket, "--max-deletes", "6")

    assert (refused.code, unchanged) == (1, before)
    assert "3 objects would be deleted, 2 may be" in refused.errors
    assert done.code == 0
    assert trio.alike(bucket)


def test_a_late_create_does_not_rise_against_a_tombstone(trio: Group, bucket: str) -> None:
    """The delete is known at one site, the older object at another: the delete wins."""
    east, north, west = trio
    with apart(trio):
        filled(west, bucket, ["late"])
        filled(east, bucket, ["late"])
        with s3_client(east.server) as s3:
            s3.delete_object(Bucket=bucket, Key="late")

    assert reconciled(north, "--bucket", bucket).code == 0

    assert trio.alike(bucket)
    for member in trio:
        assert member.content(bucket)[bucket, "late"][1]


def test_a_job_survives_the_death_of_its_process(trio: Group, bucket: str) -> None:
    east, _, _west = trio
    with apart(trio):
        filled(east, bucket, [f"{number:03d}" for number in range(300)])
    job = told(
        east.server,
        "reconcile",
        "start",
        "--bucket",
        bucket,
        "--objects-per-second",
        "100",
        "--detach",
    ).strip()
    until(lambda: east.call("GET", f"/jobs/{job}")["phase"] == "apply", "some of it", SECONDS)
    east.server.kill()
    east.server.start()
    paused = told(east.server, "reconcile", "pause", job)
    until(lambda: east.call("GET", f"/jobs/{job}")["standing"] == "paused", "a pause", SECONDS)
    resumed = ccs("reconcile", "resume", job, *at(east.server))

    assert job in paused
    assert resumed.code == 0, resumed
    trio.until_alike(bucket, 1)
    keys = [(line["key"], line["site"]) for line in lines(east, job)]
    assert sorted(keys) == sorted({*keys})
    assert len(keys) == 600


def test_a_site_that_is_away_is_waited_for(trio: Group, bucket: str) -> None:
    east, _, west = trio
    with apart(trio):
        filled(east, bucket, ["a"])
    west.link.fail(Fault(Act.RESET, times=3))
    done = reconciled(east, "--bucket", bucket)
    west.link.heal()

    assert (done.code, trio.alike(bucket)) == (0, True)


def test_a_site_that_is_paused_meanwhile_is_not_called_alike(trio: Group, bucket: str) -> None:
    east = trio[0]
    with apart(trio):
        filled(east, bucket, [f"{number:03d}" for number in range(100)])
    rate = ("--objects-per-second", "100", "--detach")
    job = told(east.server, "reconcile", "start", "--bucket", bucket, *rate).strip()
    until(lambda: east.call("GET", f"/jobs/{job}")["phase"] == "apply", "some of it", SECONDS)
    east.call("POST", "/sites/west/pause")
    failed = ccs("reconcile", "show", job, "--wait", *at(east.server))
    east.call("POST", "/sites/west/resume")
    resumed = ccs("reconcile", "resume", job, *at(east.server))

    assert (failed.code, "west was paused or removed meanwhile" in failed.errors) == (1, True)
    assert resumed.code == 0, resumed
    trio.until_alike(bucket, 1)


def test_orders_that_make_no_sense_are_refused(trio: Group) -> None:
    east = trio[0]
    for options, words in {
        ("--site", "nowhere"): "there is no site nowhere",
        ("--source", "nowhere"): "there is no site nowhere",
        ("--site", "west", "--source", "north"): "north is none of the sites",
        ("--bucket", "mistyped"): "there is no bucket mistyped",
    }.items():
        ended = reconciled(east, *options)
        assert (ended.code, words in ended.errors) == (1, True), ended


def test_the_standing_of_buckets_is_told(trio: Group, bucket: str) -> None:
    east = trio[0]
    reconciled(east, "--bucket", bucket)
    told_of = [
        one for one in east.call("GET", "/in-sync?site=west")["buckets"] if one["bucket"] == bucket
    ]

    assert [one["differences"] for one in told_of] == [0]
    assert "in sync" in told(east.server, "reconcile", "status")


def test_a_drill_tells_what_would_be_lost_and_touches_nothing(trio: Group, bucket: str) -> None:
    east, _, west = trio
    filled(east, bucket, ["everywhere", "older"])
    trio.until_alike(bucket)
    with apart(trio):
        filled(west, bucket, ["only-west"], b"12345")
        filled(west, bucket, ["older"], b"newer")
        kept_by_a_rule = told(east.server, "dr", "drill", "--without", "west", "--bucket", bucket)

    assert "without west, 1 objects (5 bytes) would be lost" in kept_by_a_rule
    before = [member.content(bucket) for member in trio]
    told_of = told(east.server, "dr", "drill", "--without", "west", "--bucket", bucket)

    assert "without west, 1 objects (5 bytes) would be lost" in told_of
    assert "1 objects (5 bytes) would fall back to an older version" in told_of
    assert "2 objects" in told_of
    assert [member.content(bucket) for member in trio] == before


def test_an_empty_site_is_refilled_while_it_serves(tmp_path: Path) -> None:
    with sites(tmp_path, ["east", "west"]) as group:
        east, west = group
        with s3_client(east.server) as s3:
            s3.create_bucket(Bucket="photos")
            filled(east, "photos", [f"{number}" for number in range(50)], b"content")
        group.until_alike("photos")
        west.server.kill()
        shutil.rmtree(west.server.data)
        west.server.start()
        east.call("DELETE", "/sites/west")
        until(lambda: ccs("site", "add", west.link.url, *at(east.server)).code == 0, "it", SECONDS)
        with s3_client(west.server) as s3:
            until(lambda: reads(s3, "photos", "7") == b"content", "a read through", SECONDS)
        done = reconciled(east)

        assert done.code == 0, done
        assert group.alike("photos")


def test_a_site_that_lost_its_storage_takes_writes_and_gets_back_what_it_had(
    tmp_path: Path,
) -> None:
    keys = [f"{number}" for number in range(20)]
    with sites(tmp_path, ["east", "west"]) as group:
        east, west = group
        with s3_client(east.server) as s3:
            s3.create_bucket(Bucket="photos")
        filled(east, "photos", keys, b"content")
        group.until_alike("photos")
        written = time.monotonic()
        west.server.stop()
        shutil.rmtree(west.server.data / "storage")
        west.server.start()
        with s3_client(west.server) as s3:
            until(lambda: puts(s3, "photos", "new", b"written"), "a write", SECONDS)
        until(lambda: time.monotonic() > written + YOUNG, "what was there to be old", SECONDS)
        until(lambda: ccs("scrub", *at(west.server)).code == 0, "all to be there", SECONDS)
        east.server.kill()

        with s3_client(west.server) as s3:
            assert {reads(s3, "photos", key) for key in keys} == {b"content"}
            assert reads(s3, "photos", "new") == b"written"


def puts(s3: S3Client, bucket: str, key: str, body: bytes) -> bool:
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
            raise
        return False
    return True


def reads(s3: S3Client, bucket: str, key: str) -> bytes | None:
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError:
        return None
