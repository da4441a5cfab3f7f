"""`ccs reconcile start --storage`: a bucket and another program's one, made alike by real jobs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body, digest
from tests.e2e.clients import s3_client
from tests.e2e.commands import at, ccs, remote_of, told
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.grounds import named, on_s3
from tests.e2e.server import Key, Server
from tests.e2e.waiting import until
from tests.services.process import Service
from tests.services.servers import S3_ACCESS, S3_SECRET

SECONDS: Final = 30
MANY: Final = 150
COMMAND: Final = ("reconcile", "start", "--storage", "new", "--bucket")
DIFFERENT: Final = 4
CONTENTS: Final = {"a/small": b"meow", "large": body(6 * MIB, seed=1), "z": b"dog"}


@contextmanager
def both(
    request: pytest.FixtureRequest, start: Start
) -> Iterator[tuple[Server, S3Client, S3Client]]:
    """A gateway over disk, a client of it, and one of the plain storage `new`."""
    service: Service = request.getfixturevalue("versitygw")
    settings: Any = named(on_s3(request))
    server = start(**settings)
    with (
        s3_client(server) as s3,
        s3_client(server, Key(S3_ACCESS, S3_SECRET), url=service.url) as plain,
    ):
        yield server, s3, plain


def mirrored(server: Server, bucket: str, **order: Any) -> list[dict[str, Any]]:
    """The report of a job that was done, asked for without a process."""
    api = remote_of(server)
    dry_run = order.pop("dry_run", False)
    body = {"kind": "mirror", "order": {"bucket": bucket, "storage": "new", **order}}
    job = api.post("jobs", body={**body, "dry_run": dry_run})["id"]
    until(lambda: api.get("jobs", job)["standing"] == "done", "the job to end", SECONDS)
    return list(api.lines("jobs", job, "report"))


def until_old(server: Server, bucket: str, count: int) -> None:
    """Wait until a dry run finds so many objects that are not there."""

    def is_found() -> bool:
        found = mirrored(server, bucket, dry_run=True)
        return [one["kind"] for one in found] == ["ONLY_HERE"] * count

    until(is_found, "what was written not to be young", SECONDS)


def test_a_bucket_is_mirrored_out_changed_there_and_mirrored_in(
    request: pytest.FixtureRequest, start: Start
) -> None:
    with both(request, start) as (server, s3, plain):
        bucket = fresh_bucket(s3)
        for key, data in CONTENTS.items():
            s3.put_object(Bucket=bucket, Key=key, Body=data, Metadata={"a": key})
        until_old(server, bucket, len(CONTENTS))
        dry = ccs(*COMMAND, bucket, "--dry-run", *at(server))
        assert (dry.code, "ONLY_HERE" in dry.out) == (DIFFERENT, True), dry
        assert bucket not in [one["Name"] for one in plain.list_buckets()["Buckets"]]
        ended = ccs(*COMMAND, bucket, *at(server))

        assert (ended.code, "done, alike" in ended.out) == (0, True), ended
        for key, data in CONTENTS.items():
            found = plain.get_object(Bucket=bucket, Key=key)
            assert (digest(found["Body"].read()), found["Metadata"]["a"]) == (digest(data), key)

        for key in ("a/small", "new"):
            plain.put_object(Bucket=bucket, Key=key, Body=b"woof", ContentType="text/dog")
        s3.delete_object(Bucket=bucket, Key="z")
        kept = {"z": "KEPT"}

        def is_taken() -> bool:
            """What is older than two seconds is."""
            found = mirrored(server, bucket, source="storage")
            assert all(one["result"] in {"APPLIED", "KEPT", "REMAINS"} for one in found), found
            now = {one["key"]: one["result"] for one in found if one["result"] == "KEPT"}
            keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
            return now == kept and keys == ["a/small", "large", "new"]

        until(is_taken, "what is there to come in", SECONDS)
        for key in ("a/small", "new"):
            taken = s3.get_object(Bucket=bucket, Key=key)
            assert (taken["Body"].read(), taken["ContentType"]) == (b"woof", "text/dog")
            assert taken["ETag"] == plain.head_object(Bucket=bucket, Key=key)["ETag"]
        assert plain.get_object(Bucket=bucket, Key="z")["Body"].read() == b"dog"
        refused = ccs(*COMMAND, bucket, "--max-deletes", "0", *at(server))
        assert (refused.code, "1 objects would be deleted" in refused.errors) == (1, True), refused
        assert [one["result"] for one in mirrored(server, bucket)] == ["APPLIED"]
        assert [one["Key"] for one in plain.list_objects_v2(Bucket=bucket)["Contents"]] == [
            "a/small",
            "large",
            "new",
        ]


def test_a_mirror_that_was_killed_goes_on_where_it_was(
    request: pytest.FixtureRequest, start: Start
) -> None:
    with both(request, start) as (server, s3, plain):
        bucket = fresh_bucket(s3)
        keys = [f"{number:03}" for number in range(MANY)]
        with ThreadPoolExecutor(4) as pool:
            put = partial(s3.put_object, Bucket=bucket, Body=b"x")
            list(pool.map(lambda key: put(Key=key), keys))
        until_old(server, bucket, MANY)
        paced = ("--detach", "--objects-per-second", "100")
        name = told(server, *COMMAND, bucket, *paced).strip()

        def job() -> dict[str, Any]:
            found: dict[str, Any] = remote_of(server).get("jobs", name)
            return found

        until(lambda: job()["phase"] == "apply" and job()["done"], "some to be copied", SECONDS)
        server.kill()
        server.start()
        until(lambda: job()["standing"] == "done", "the job to end", SECONDS)

        assert job()["outcome"] == "alike"
        assert job()["results"] == {"APPLIED": MANY}
        there = plain.list_objects_v2(Bucket=bucket)["Contents"]
        assert [one["Key"] for one in there] == keys


@pytest.mark.parametrize(
    "options",
    [
        ("--storage", "new", "--bucket", "a", "--bucket", "b"),
        ("--storage-bucket", "a", "--bucket", "a"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(options: tuple[str, ...]) -> None:
    ended = ccs("reconcile", "start", *options, "--operator-key", "x")

    assert (ended.code, "--storage" in ended.errors) == (2, True), ended
