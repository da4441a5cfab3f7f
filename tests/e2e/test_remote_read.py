"""What is missing at a site is read from another one while the caller waits, and kept."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.agreement import got
from tests.e2e.apart import SECONDS, Apart, bytes_of
from tests.e2e.bodies import KIB, MIB, body
from tests.e2e.clients import refused
from tests.e2e.waiting import until
from tests.services.faults import Act, Fault

CALLERS = 16
LARGE = 256 * MIB
GROWTH = 64 * MIB


def test_a_whole_read_restores_in_one_transfer(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(3 * MIB, seed=1)
    apart.writer.put_object(
        Bucket=bucket, Key="film", Body=content, Metadata={"who": "me"}, ContentType="text/x"
    )
    there = apart.writer.head_object(Bucket=bucket, Key="film")

    answer = apart.reader.get_object(Bucket=bucket, Key="film")

    assert answer["Body"].read() == content
    alike = ("ETag", "LastModified", "ContentLength", "Metadata", "ContentType")
    assert [answer.get(name) for name in alike] == [there.get(name) for name in alike]
    apart.until_kept(bucket, "film")
    with apart.cut_off():
        assert apart.read(bucket, "film") == content
    assert len(apart.fetched(bucket, "film")) == 1


def test_many_callers_share_one_transfer(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(8 * MIB, seed=2)
    apart.put(bucket, "film", content)

    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda _: apart.read(bucket, "film"), range(CALLERS)))

    assert all(answer == content for answer in answers)
    assert len(apart.fetched(bucket, "film")) == 1


def test_a_piece_is_served_and_the_whole_restored_behind(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(3 * MIB, seed=3)
    apart.put(bucket, "film", content)

    assert apart.read(bucket, "film", "1000-1999") == content[1000:2000]

    apart.until_kept(bucket, "film")
    with apart.cut_off():
        assert apart.read(bucket, "film") == content
    assert len(apart.fetched(bucket, "film")) == 2


def test_a_piece_that_is_all_of_it_is_one_transfer(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")

    assert apart.read(bucket, "film", "0-") == b"content"

    apart.until_kept(bucket, "film")
    assert len(apart.fetched(bucket, "film")) == 1


def test_an_empty_object_and_one_of_parts_are_restored_too(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(11 * MIB, seed=4)
    apart.put(bucket, "empty", b"")
    asked: Any = {"Bucket": bucket, "Key": "parts"}
    asked["UploadId"] = apart.writer.create_multipart_upload(**asked)["UploadId"]
    pieces = [content[: 6 * MIB], content[6 * MIB :]]
    parts: Any = [
        {
            "PartNumber": number,
            "ETag": apart.writer.upload_part(**asked, PartNumber=number, Body=piece)["ETag"],
        }
        for number, piece in enumerate(pieces, 1)
    ]
    apart.writer.complete_multipart_upload(**asked, MultipartUpload={"Parts": parts})

    assert apart.read(bucket, "empty") == b""
    assert apart.read(bucket, "parts") == content

    for key in ("empty", "parts"):
        apart.until_kept(bucket, key)
        here, there = (
            s3.head_object(Bucket=bucket, Key=key)["ETag"] for s3 in (apart.reader, apart.writer)
        )
        assert here == there
    assert apart.reader.head_object(Bucket=bucket, Key="parts", PartNumber=2)["PartsCount"] == 2


def test_head_and_conditions_are_answered_without_a_byte(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    etag = apart.writer.head_object(Bucket=bucket, Key="film")["ETag"]

    head = apart.reader.head_object(Bucket=bucket, Key="film")
    with refused("304", 304):
        apart.reader.get_object(Bucket=bucket, Key="film", IfNoneMatch=etag)
    with refused("PreconditionFailed", 412):
        apart.reader.get_object(Bucket=bucket, Key="film", IfMatch='"other"')

    assert (head["ETag"], head["ContentLength"]) == (etag, 7)
    assert apart.fetched(bucket, "film") == []
    assert not apart.is_kept(bucket, "film")
    answer = apart.reader.get_object(Bucket=bucket, Key="film", IfMatch=etag)
    assert answer["Body"].read() == b"content"


def test_a_caller_who_leaves_early_does_not_end_the_restore(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(32 * MIB, seed=5)
    apart.put(bucket, "film", content)

    answer = apart.reader.get_object(Bucket=bucket, Key="film")
    assert answer["Body"].read(KIB) == content[:KIB]
    assert not apart.is_kept(bucket, "film")
    answer["Body"].close()

    apart.until_kept(bucket, "film")
    with apart.cut_off():
        assert apart.read(bucket, "film") == content
    assert len(apart.fetched(bucket, "film")) == 1


def test_a_bucket_that_is_missing_is_found_elsewhere(apart: Apart) -> None:
    for name in ("headed", "listed", "read-from"):
        apart.writer.create_bucket(Bucket=name)
        apart.writer.put_object(Bucket=name, Key="film", Body=b"content")
    assert not {"headed", "listed", "read-from"} & apart.buckets("west")

    assert apart.reader.head_bucket(Bucket="headed")
    assert apart.reader.list_objects_v2(Bucket="listed")["KeyCount"] == 0
    assert apart.read("read-from", "film") == b"content"
    with refused("404", 404):
        apart.reader.head_bucket(Bucket="nowhere-at-all")

    assert {"headed", "listed", "read-from"} <= apart.buckets("west")


def test_what_is_missing_can_be_copied_from(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(6 * MIB, seed=6)
    apart.put(bucket, "film", content)
    apart.put(bucket, "reel", content)

    source: Any = {"Bucket": bucket, "Key": "film"}
    apart.reader.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    asked: Any = {"Bucket": bucket, "Key": "joined"}
    asked["UploadId"] = apart.reader.create_multipart_upload(**asked)["UploadId"]
    part = apart.reader.upload_part_copy(
        **asked,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "reel"},
        CopySourceRange="bytes=10-99",
    )
    done: Any = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
    apart.reader.complete_multipart_upload(**asked, MultipartUpload=done)

    for key in ("film", "reel"):
        apart.until_kept(bucket, key)
    with apart.cut_off():
        assert apart.read(bucket, "copy") == apart.read(bucket, "film") == content
        assert apart.read(bucket, "joined") == content[10:100]


def test_a_miss_is_remembered_until_the_object_is_here(apart: Apart) -> None:
    bucket = apart.bucket()
    for key in ("put", "sent"):
        assert got(apart.reader, bucket, key)[0] is None
        assert got(apart.reader, bucket, key)[0] is None
        assert sorted(apart.probed(bucket, key)) == ["east", "north"]

    apart.reader.put_object(Bucket=bucket, Key="put", Body=b"here")
    assert apart.read(bucket, "put") == b"here"
    apart.west.link.start()
    apart.writer.put_object(Bucket=bucket, Key="sent", Body=b"there")
    apart.until_kept(bucket, "sent")
    assert apart.read(bucket, "sent") == b"there"
    assert apart.fetched(bucket, "sent") == []


def test_a_miss_is_not_remembered_for_long(apart: Apart) -> None:
    bucket = apart.bucket()
    assert got(apart.reader, bucket, "late")[0] is None

    apart.put(bucket, "late", b"content")

    until(lambda: got(apart.reader, bucket, "late")[0], "the object to be seen", SECONDS)


def test_what_is_missing_can_be_deleted(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    assert apart.reader.head_object(Bucket=bucket, Key="film")

    apart.reader.delete_object(Bucket=bucket, Key="film")

    with refused("404", 404):
        apart.reader.head_object(Bucket=bucket, Key="film")
    newest = apart.west.content(bucket)
    until(lambda: apart.east.content(bucket) == newest, "the delete to arrive", SECONDS)
    with refused("404", 404):
        apart.writer.head_object(Bucket=bucket, Key="film")


def test_a_local_write_during_a_restore_is_the_newer_one(apart: Apart) -> None:
    bucket = apart.bucket()
    content = body(4 * MIB, seed=7)
    apart.put(bucket, "film", content)
    slow = Fault(Act.THROTTLE, amount=256 * KIB, method="GET", path=bytes_of("film"))
    apart.east.link.fail(slow)
    with ThreadPoolExecutor(1) as callers:
        reading = callers.submit(apart.read, bucket, "film")
        until(lambda: apart.fetched(bucket, "film"), "the transfer to begin", SECONDS)

        apart.reader.put_object(Bucket=bucket, Key="film", Body=b"newer")
        apart.heal()

        assert reading.result() == content
    assert apart.read(bucket, "film") == b"newer"
    newest = apart.west.content(bucket)
    until(lambda: apart.north.content(bucket) == newest, "the write to arrive", SECONDS)
    assert apart.read(bucket, "film") == b"newer"


def test_memory_stays_flat_while_a_slow_caller_reads_a_large_object(apart: Apart) -> None:
    bucket = apart.bucket()
    block = body(MIB, seed=8)
    apart.writer.put_object(Bucket=bucket, Key="large", Body=block * (LARGE // MIB))
    before = sum(apart.west.server.resident().values())

    answer = apart.reader.get_object(Bucket=bucket, Key="large")
    digest = hashlib.sha256(answer["Body"].read(MIB))
    stands_still(apart)
    for piece in answer["Body"].iter_chunks(MIB):
        digest.update(piece)

    assert digest.digest() == hashlib.sha256(block * (LARGE // MIB)).digest()
    apart.until_kept(bucket, "large")
    peak = sum(apart.west.server.resident(peak=True).values())
    assert peak - before < GROWTH


def stands_still(apart: Apart) -> None:
    """Wait until the west takes no more, though the object has not come to its end."""
    seen: list[int] = []

    def is_steady() -> bool:
        seen.append(sum(apart.west.server.resident().values()))
        return len(seen) > 20 and len(set(seen[-10:])) == 1

    until(is_steady, "the transfer to stand still", SECONDS)
    assert apart.east.link.under_way
