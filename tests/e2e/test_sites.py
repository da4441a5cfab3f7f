"""Two sites and three that keep each other alike: what clients and operators see of it."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.agreement import got
from tests.e2e.bodies import MIB, body
from tests.e2e.clients import refused, s3_client
from tests.e2e.server import FIRST, Key
from tests.e2e.sites import SECRET, Group, Member, sends, sites
from tests.e2e.waiting import until
from tests.services.faults import Act, Fault, Way

SECONDS: Final = 30
OVERWRITES: Final = 300
PARTS: Final = {"CCS_SITES__PART_BYTES": str(5 * MIB), "CCS_SITES__WHOLE_BYTES": "0"}
PUSHED_ALONE: Final = {"CCS_SITES__REMOTE_READ": "off"}
IMPATIENT: Final = {"CCS_SITES__ATTEMPTS": "3", "CCS_SITES__RETRY_SECONDS": "0.02"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """East and west, over disk and SQLite both."""
    folder = tmp_path_factory.mktemp("pair")
    settings = dict.fromkeys(("east", "west"), PARTS | IMPATIENT | PUSHED_ALONE)
    with sites(folder, ["east", "west"], settings) as group:
        yield group


@pytest.fixture(autouse=True)
def healed(pair: Group) -> Iterator[None]:
    yield
    for member in pair:
        member.link.heal()


@pytest.fixture
def east(pair: Group) -> Iterator[S3Client]:
    with s3_client(pair[0].server) as s3:
        yield s3


@pytest.fixture
def west(pair: Group) -> Iterator[S3Client]:
    with s3_client(pair[1].server) as s3:
        yield s3


@pytest.fixture
def bucket(pair: Group, east: S3Client, request: pytest.FixtureRequest) -> str:
    """A bucket that both sites have."""
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    east.create_bucket(Bucket=name)
    with s3_client(pair[1].server) as s3:
        until(lambda: name in buckets(s3), f"{name} in the west", SECONDS)
    return name


def buckets(s3: S3Client) -> set[str]:
    return {one["Name"] for one in s3.list_buckets()["Buckets"]}


def arrives(s3: S3Client, bucket: str, key: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    until(lambda: got(s3, bucket, key)[1] == digest, f"{key} to arrive", SECONDS)


def test_what_is_put_at_one_site_is_at_the_other_with_all_that_was_said_of_it(
    east: S3Client, west: S3Client, bucket: str
) -> None:
    east.put_object(
        Bucket=bucket,
        Key="a/ü ?&#",
        Body=b"content",
        Metadata={"who": "me"},
        ContentType="text/x",
        CacheControl="no-store",
        ChecksumAlgorithm="SHA256",
    )
    arrives(west, bucket, "a/ü ?&#", b"content")

    here = east.head_object(Bucket=bucket, Key="a/ü ?&#", ChecksumMode="ENABLED")
    there = west.head_object(Bucket=bucket, Key="a/ü ?&#", ChecksumMode="ENABLED")
    alike = ("ETag", "LastModified", "Metadata", "ContentType", "CacheControl", "ChecksumSHA256")
    assert {name: here.get(name) for name in alike} == {name: there.get(name) for name in alike}
    assert there["ReplicationStatus"] == "REPLICA"


def test_an_overwrite_and_a_delete_arrive_from_either_side(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    east.put_object(Bucket=bucket, Key="k", Body=b"one")
    arrives(west, bucket, "k", b"one")
    west.put_object(Bucket=bucket, Key="k", Body=b"two")
    arrives(east, bucket, "k", b"two")
    east.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    arrives(west, bucket, "copy", b"two")
    west.delete_object(Bucket=bucket, Key="k")
    until(lambda: got(east, bucket, "k")[0] is None, "the delete to arrive", SECONDS)
    pair.until_alike(bucket)


def test_large_objects_travel_in_parts_and_keep_their_etag(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    content = body(12 * MIB + 1, seed=1)
    asked: Any = {"Bucket": bucket, "Key": "multipart"}
    asked["UploadId"] = east.create_multipart_upload(**asked)["UploadId"]
    pieces = [content[: 6 * MIB], content[6 * MIB :]]
    tags = [
        east.upload_part(**asked, PartNumber=number, Body=piece)["ETag"]
        for number, piece in enumerate(pieces, 1)
    ]
    parts: Any = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    east.complete_multipart_upload(**asked, MultipartUpload={"Parts": parts})
    east.put_object(Bucket=bucket, Key="single", Body=content)

    for key in ("multipart", "single"):
        arrives(west, bucket, key, content)
        assert (
            west.head_object(Bucket=bucket, Key=key)["ETag"]
            == east.head_object(Bucket=bucket, Key=key)["ETag"]
        )
    assert west.head_object(Bucket=bucket, Key="multipart", PartNumber=2)["PartsCount"] == 2
    assert "Uploads" not in west.list_multipart_uploads(Bucket=bucket)
    pair.until_alike(bucket)


def test_a_transfer_that_breaks_goes_on_behind_the_parts_that_arrived(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    link = pair[1].link
    cut = Fault(Act.CUT, Way.REQUEST, at=MIB, method="PUT", path="partNumber=3", times=2)
    link.fail(cut)
    content = body(22 * MIB, seed=2)
    east.put_object(Bucket=bucket, Key="broken", Body=content)

    arrives(west, bucket, "broken", content)

    sent = [path for method, path in link.seen if method == "PUT" and "/broken?" in path]
    assert sum("partNumber=1&" in path for path in sent) == 1
    assert sum("partNumber=3&" in path for path in sent) == 3


def test_the_status_of_an_object_tells_how_far_it_has_come(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    pair[1].link.refuse()
    east.put_object(Bucket=bucket, Key="k", Body=b"waits")
    assert east.head_object(Bucket=bucket, Key="k")["ReplicationStatus"] == "PENDING"
    pair[1].link.start()

    until(
        lambda: east.head_object(Bucket=bucket, Key="k")["ReplicationStatus"] == "COMPLETED",
        "the status",
        SECONDS,
    )
    assert west.get_object(Bucket=bucket, Key="k")["ReplicationStatus"] == "REPLICA"


def test_a_site_that_is_away_longer_than_every_retry_misses_nothing(
    pair: Group, east: S3Client, bucket: str
) -> None:
    link = pair[1].link
    link.refuse()
    for number in range(20):
        east.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    east.delete_object(Bucket=bucket, Key="k0")
    until(lambda: pair[0].status("west")["last_error"], "the error to be told", SECONDS)
    until(lambda: pair[0].status("west")["lag_seconds"] > 2, "longer than all retries", SECONDS)
    assert pair[0].status("west")["backlog"] >= 20
    waiting = pair[0].call("GET", "/sites/west/pending?limit=5")["changes"]
    assert [change["key"] for change in waiting] == [f"k{number}" for number in range(5)]
    link.start()

    pair.until_alike(bucket)
    until(lambda: pair[0].status("west")["backlog"] == 0, "the backlog to go", SECONDS)
    assert pair[0].status("west")["dead_letters"] == 0


def test_an_object_that_cannot_be_taken_is_parked_and_holds_nothing_up(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    link = pair[1].link
    failed = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    link.fail(Fault(Act.ANSWER, answer=failed, method="PUT", path="/poison"))
    east.put_object(Bucket=bucket, Key="poison", Body=b"p")
    east.put_object(Bucket=bucket, Key="other", Body=b"o")
    arrives(west, bucket, "other", b"o")
    until(lambda: parked(pair[0]) == ["poison"], "the dead letter", SECONDS)
    assert east.head_object(Bucket=bucket, Key="poison")["ReplicationStatus"] == "FAILED"

    link.heal()
    pair[0].call("POST", "/sites/west/dead-letters/retry")

    assert got(west, bucket, "poison")[0] is not None
    assert parked(pair[0]) == []


def parked(member: Member) -> list[str]:
    return [one["key"] for one in member.call("GET", "/sites/west/dead-letters")["dead_letters"]]


def test_created_and_deleted_faster_than_the_lag_is_deleted(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    pair[1].link.fail(Fault(Act.DELAY, Way.REQUEST, amount=0.5, method="PUT", path="/brief"))
    east.put_object(Bucket=bucket, Key="brief", Body=b"x")
    until(lambda: any("/brief" in path for _, path in pair[1].link.seen), "it to leave", SECONDS)
    east.delete_object(Bucket=bucket, Key="brief")
    east.put_object(Bucket=bucket, Key="after", Body=b"x")
    arrives(west, bucket, "after", b"x")
    pair.until_alike(bucket)
    assert got(west, bucket, "brief")[0] is None


def test_overwriting_one_key_again_and_again_copies_far_fewer(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    link = pair[1].link
    before = len(link.seen)
    link.fail(Fault(Act.DELAY, Way.REQUEST, amount=0.05, method="PUT", path="/often"))
    for number in range(OVERWRITES):
        east.put_object(Bucket=bucket, Key="often", Body=b"%d" % number)
    arrives(west, bucket, "often", b"%d" % (OVERWRITES - 1))
    assert sum("/often" in path for _, path in link.seen[before:]) < OVERWRITES / 2


def test_a_bucket_comes_and_goes_and_is_given_back_while_it_is_used(
    pair: Group, east: S3Client, west: S3Client
) -> None:
    west.create_bucket(Bucket="comes-and-goes")
    until(lambda: "comes-and-goes" in buckets(east), "the bucket", SECONDS)
    east.delete_bucket(Bucket="comes-and-goes")
    until(lambda: "comes-and-goes" not in buckets(west), "the bucket to go", SECONDS)

    east.create_bucket(Bucket="comes-and-goes")
    until(lambda: "comes-and-goes" in buckets(west), "the bucket again", SECONDS)
    pair[0].link.refuse()
    west.put_object(Bucket="comes-and-goes", Key="used", Body=b"x")
    east.delete_bucket(Bucket="comes-and-goes")
    until(lambda: waits_for_nothing(pair[0]), "the delete to be sent", SECONDS)
    pair[0].link.start()

    arrives(east, "comes-and-goes", "used", b"x")
    assert "comes-and-goes" in buckets(west)


def waits_for_nothing(member: Member) -> bool:
    return bool(member.status("west")["backlog"] == 0)


def test_keys_of_applications_and_of_sites_are_good_at_their_own_listener_only(
    pair: Group, bucket: str
) -> None:
    server = pair[0].server
    with (
        s3_client(server, FIRST, url=server.site) as s3,
        refused("SignatureDoesNotMatch", 403),
    ):
        s3.get_object(Bucket=bucket, Key="k")
    with s3_client(server, Key("west", SECRET)) as s3, refused("InvalidAccessKeyId", 403):
        s3.list_objects_v2(Bucket=bucket)
    with s3_client(server) as s3, refused("AccessDenied", 403):
        s3.list_objects_v2(Bucket=".ccs")


def test_a_bucket_with_a_home_decides_conditions_there_for_all_sites(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    pair[0].call("PATCH", f"/buckets/{bucket}", {"home": "east"})
    until(lambda: home_of(pair[1], bucket) == "east", "the home to be known", SECONDS)

    made = west.put_object(Bucket=bucket, Key="lock", Body=b"west", IfNoneMatch="*")
    assert got(west, bucket, "lock")[0] is not None
    with refused("PreconditionFailed", 412):
        east.put_object(Bucket=bucket, Key="lock", Body=b"east", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        west.put_object(Bucket=bucket, Key="lock", Body=b"again", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        west.delete_object(Bucket=bucket, Key="lock", IfMatch='"another"')
    west.delete_object(Bucket=bucket, Key="lock", IfMatch=made["ETag"])
    assert got(east, bucket, "lock")[0] is None

    pair[0].link.refuse()
    with refused("ServiceUnavailable", 503):
        west.put_object(Bucket=bucket, Key="lock", Body=b"west", IfNoneMatch="*")
    west.put_object(Bucket=bucket, Key="free", Body=b"of conditions")


def home_of(member: Member, bucket: str) -> str:
    return str(member.call("GET", f"/buckets/{bucket}")["home"])


def test_sites_are_said_to_be_alike_only_when_they_were_compared(
    pair: Group, east: S3Client, west: S3Client, bucket: str
) -> None:
    for number in range(30):
        east.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    pair.until_alike(bucket)
    until(lambda: compared(pair[0])["standing"] == "alike", "both to be alike", SECONDS)

    for member, other in ((pair[0], "west"), (pair[1], "east")):
        member.call("POST", f"/sites/{other}/pause")
    until(lambda: not (sends(pair[0], "west") or sends(pair[1], "east")), "the pause", SECONDS)
    east.put_object(Bucket=bucket, Key="only", Body=b"here")
    west.put_object(Bucket=bucket, Key="k1", Body=b"newer")
    west.delete_object(Bucket=bucket, Key="k2")

    expected = [("VERSION", "k1"), ("TOMBSTONE", "k2"), ("ONLY_HERE", "only")]
    until(lambda: kinds(compared(pair[0]), bucket) == expected, "the differences", SECONDS)
    for member, other in ((pair[0], "west"), (pair[1], "east")):
        member.call("POST", f"/sites/{other}/resume")
    pair.until_alike(bucket)


def compared(member: Member) -> dict[str, Any]:
    """What a comparison with the west finds."""
    member.call("POST", "/sites/west/verification")
    return until(lambda: ended(member), "the comparison", SECONDS)


def ended(member: Member) -> dict[str, Any]:
    told: dict[str, Any] = member.call("GET", "/sites/west/verification")
    return told if told["ended"] else {}


def kinds(told: dict[str, Any], bucket: str) -> list[tuple[str, str]]:
    found = told["differences"]
    return sorted((one["kind"], one["key"]) for one in found if one["bucket"] == bucket)[::-1]
