"""Two sites where objects expire, and whose tombstones wait for each other."""

import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import s3_client
from tests.e2e.commands import told
from tests.e2e.sites import Group, Member, sends, sites
from tests.e2e.waiting import until

SECONDS: Final = 30
RETENTION_SECONDS: Final = 1
HOUR: Final = 3600
DAY: Final = 24 * HOUR
QUICK: Final = {
    "CCS_STATE__TOMBSTONE_HOURS": str(RETENTION_SECONDS / HOUR),
    "CCS_EXPIRY__HOURS": str(0.2 / HOUR),
    "CCS_SITES__REMOTE_READ": "off",
}
COMPARING: Final = {"CCS_RECONCILE__VERIFY_MINUTES": "0.02"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    folder: Path = tmp_path_factory.mktemp("pair")
    with sites(folder, ["east", "west"], dict.fromkeys(("east", "west"), QUICK)) as group:
        yield group


@pytest.fixture
def east(pair: Group) -> Iterator[S3Client]:
    with s3_client(pair[0].server) as s3:
        yield s3


@pytest.fixture
def west(pair: Group) -> Iterator[S3Client]:
    with s3_client(pair[1].server) as s3:
        yield s3


def bucket_of(s3: S3Client, pair: Group, name: str) -> str:
    """A bucket that both sites have."""
    s3.create_bucket(Bucket=name)
    for member in pair:
        until(partial(has, member, name), f"{name} at {member.name}", SECONDS)
    return name


def has(member: Member, bucket: str) -> bool:
    page = member.call("GET", "/buckets?limit=1000")
    return bucket in [found["name"] for found in page["buckets"]]


def held(member: Member, site: str) -> float:
    """For how many seconds the site has kept the member's tombstones back."""
    with urllib.request.urlopen(f"{member.server.operations}/metrics") as answer:
        text = answer.read().decode()
    found = re.search(rf'ccs_tombstones_held_seconds{{site="{site}"}} (\S+)', text)
    return float(found[1]) if found else 0.0


def keys(s3: S3Client, bucket: str) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def holds(s3: S3Client, bucket: str, wanted: list[str]) -> None:
    """Return when just these keys are there."""
    until(lambda: keys(s3, bucket) == wanted, f"{bucket} to hold {wanted}", SECONDS)


def put_until(s3: S3Client, bucket: str, key: str, seconds: float) -> None:
    """Put an object that expires in so many seconds."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)

    def ask(params: dict[str, Any], **_: object) -> None:
        params["headers"]["x-ccs-expires"] = moment.isoformat()

    s3.meta.events.register("before-call.s3.PutObject", ask, unique_id="expires")
    s3.put_object(Bucket=bucket, Key=key, Body=b"meow")
    s3.meta.events.unregister("before-call.s3.PutObject", unique_id="expires")


def test_a_tombstone_waits_for_a_paused_site_and_goes_when_that_has_caught_up(
    pair: Group, east: S3Client, west: S3Client
) -> None:
    bucket = bucket_of(east, pair, "waiting")
    east.put_object(Bucket=bucket, Key="cat", Body=b"meow")
    holds(west, bucket, ["cat"])
    pair[0].call("POST", "/sites/west/pause")
    until(lambda: not sends(pair[0], "west"), "the pause", SECONDS)

    east.delete_object(Bucket=bucket, Key="cat")
    until(lambda: held(pair[0], "west") > 2 * RETENTION_SECONDS, "the retention to pass", SECONDS)

    [(_, is_tombstone, _)] = pair[0].content(bucket).values()
    assert is_tombstone
    pair[0].call("POST", "/sites/west/resume")
    holds(west, bucket, [])
    until(lambda: not pair[0].content(bucket), "the tombstone in the east to go", SECONDS)
    until(lambda: not pair[1].content(bucket), "the tombstone in the west to go", SECONDS)
    assert held(pair[0], "west") == 0


def test_objects_expire_at_both_sites_wherever_they_were_written(
    pair: Group, east: S3Client, west: S3Client
) -> None:
    bucket = bucket_of(east, pair, "short")
    put_until(east, bucket, "from the east", 2)
    put_until(west, bucket, "from the west", 2)
    put_until(west, bucket, "later", HOUR)
    east.put_object(Bucket=bucket, Key="never", Body=b"meow")

    for s3 in (east, west):
        holds(s3, bucket, ["later", "never"])

    pair.until_alike(bucket)
    told_east = east.head_object(Bucket=bucket, Key="later")["Expiration"]
    assert 'rule-id="object"' in told_east
    assert told_east == west.head_object(Bucket=bucket, Key="later")["Expiration"]


def test_what_a_site_that_is_cut_off_writes_anew_does_not_expire_with_what_was_before(
    pair: Group, east: S3Client, west: S3Client
) -> None:
    bucket = bucket_of(east, pair, "refreshed")
    put_until(east, bucket, "cat", 2)
    holds(west, bucket, ["cat"])
    pair[1].call("POST", "/sites/east/pause")
    until(lambda: not sends(pair[1], "east"), "the pause", SECONDS)
    west.put_object(Bucket=bucket, Key="cat", Body=b"anew")

    holds(east, bucket, [])
    pair[1].call("POST", "/sites/east/resume")

    holds(east, bucket, ["cat"])
    pair.until_alike(bucket)
    for s3 in (east, west):
        assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"anew"


def test_a_bucket_lets_all_that_is_old_expire_into_its_archive(
    pair: Group, east: S3Client, west: S3Client
) -> None:
    bucket, archive = bucket_of(east, pair, "logs"), bucket_of(east, pair, "archive")
    for number in range(20):
        (east, west)[number % 2].put_object(Bucket=bucket, Key=f"{number:02}", Body=b"meow")
    pair.until_alike(bucket)
    days = str(1 / DAY)
    said = told(
        pair[1].server, "bucket", "set", bucket, "--expire-days", days, "--archive-to", archive
    )
    assert f"archive_to: {archive}" in said

    for s3 in (east, west):
        holds(s3, bucket, [])
        holds(s3, archive, [f"{number:02}" for number in range(20)])

    pair.until_alike(bucket)
    pair.until_alike(archive)
    until(lambda: not pair[0].content(bucket), "their tombstones to go", SECONDS)


def test_among_three_sites_only_a_comparison_confirms_a_delete(tmp_path: Path) -> None:
    names = ["east", "north", "west"]
    near = {**QUICK, "CCS_SITES__CLOCK_SECONDS": "1", "CCS_EXPIRY__HOURS": "1"}
    settings = dict.fromkeys(names, near) | {"north": near | COMPARING}
    with sites(tmp_path, names, settings) as trio, s3_client(trio[0].server) as s3:
        bucket = bucket_of(s3, trio, "waiting")
        s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")
        s3.delete_object(Bucket=bucket, Key="cat")
        trio.until_alike(bucket)
        for site in ("north", "west"):
            until(partial(held, trio[0], site), f"{site} to be waited for", SECONDS)
        assert trio[0].content(bucket)

        until(partial(goes_when_compared, trio[0], bucket), "the tombstone to go", SECONDS)
        until(lambda: not trio[1].content(bucket), "that of who compares by itself", SECONDS)

        assert trio[2].content(bucket)


def goes_when_compared(member: Member, bucket: str) -> bool:
    """Whether the bucket is empty, after a comparison with each of the others."""
    for site in ("north", "west"):
        member.call("POST", f"/sites/{site}/verification")
        until(partial(compared, member, site), f"{site} to be compared", SECONDS)
    return not member.content(bucket)


def compared(member: Member, site: str) -> bool:
    return bool(member.call("GET", f"/sites/{site}/verification")["ended"])
