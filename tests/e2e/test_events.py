"""Events as operators and users see them: followed from the command line, told when they wait."""

import json
import urllib.request
from typing import Any

from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.fleet import Follower
from tests.e2e.server import Server
from tests.e2e.waiting import until
from tests.services.process import free_port

WAIT = 30
FIRST = "first"


def ready(server: Server) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.operations}/health/ready", timeout=5) as answer:
        return dict(json.loads(answer.read()))


def metrics(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.operations}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    named = [line.rsplit(" ", 1) for line in lines if line.startswith("ccs_events")]
    return {name: float(value) for name, value in named}


def test_a_broker_that_is_away_stops_nothing_and_is_told(start: Start) -> None:
    server = start(
        CCS_EVENTS__KIND="kafka",
        CCS_EVENTS__KAFKA__SERVERS=f"127.0.0.1:{free_port()}",
        CCS_EVENTS__KAFKA__TIMEOUT="1",
    )
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")
        assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"meow"

    until(lambda: ready(server)["events"]["error"], "the broker's error to be told", WAIT)
    told = ready(server)
    counted = metrics(server)

    assert told["ready"]
    assert "Kafka at 127.0.0.1" in told["events"]["error"]
    assert told["events"]["behind_seconds"] > 0
    assert counted["ccs_events_failing"] == 1
    assert counted["ccs_events_behind_seconds"] > 0


def printed(follower: Follower) -> list[tuple[str, str]]:
    """Names and keys of the events it printed, without those that tell whether it is there."""
    told = [(one["eventName"], one["s3"]["object"]["key"]) for one in follower.records()]
    return [one for one in told if one[1] != FIRST]


def follow(follower: Follower, expected: int) -> list[tuple[str, str]]:
    """What a new process of the group prints, so many of them."""
    before = len(printed(follower))
    follower.start()
    until(lambda: len(printed(follower)) >= before + expected, f"{expected} events", WAIT)
    follower.kill()
    return printed(follower)[before:]


def test_changes_are_followed_and_those_that_were_printed_do_not_come_again(start: Start) -> None:
    server = start()
    follower = Follower(server.data, server.settings)
    follower.start()
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        until(lambda: has_printed(follower, s3, bucket), "the group to be there", WAIT)
        follower.kill()
        s3.put_object(Bucket=bucket, Key="a b", Body=b"meow")
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b"})
        s3.delete_object(Bucket=bucket, Key="a b")

        found = follow(follower, 3)
        s3.put_object(Bucket=bucket, Key="dog", Body=b"woof")
        later = follow(follower, 1)

    assert sorted(found) == [
        ("ObjectCreated:Copy", "copy"),
        ("ObjectCreated:Put", "a+b"),
        ("ObjectRemoved:Delete", "a+b"),
    ]
    assert later == [("ObjectCreated:Put", "dog")]


def has_printed(follower: Follower, s3: Any, bucket: str) -> bool:
    s3.put_object(Bucket=bucket, Key=FIRST, Body=b"")
    return bool(follower.records())
