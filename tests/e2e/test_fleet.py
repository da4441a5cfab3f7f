"""A fleet for real: three gateways over one database, one storage and one broker.

Each database in turn, with Kafka, and two followers that share the events. What dies is killed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.agreement import digests, listed
from tests.e2e.clients import s3_client
from tests.e2e.conftest import fresh_bucket
from tests.e2e.fleet import Fleet, Follower, Stubborn, fleet
from tests.e2e.grounds import on_s3
from tests.e2e.history import History
from tests.e2e.waiting import until
from tests.e2e.writers import put_sources
from tests.services import brokers, postgres, servers
from tests.services.process import Service

GATEWAYS: Final = 3
FOLLOWERS: Final = 2
SETTLE_SECONDS: Final = 60
WRITES: Final = 40
QUICK: Final = {
    "CCS_STATE__LEASE_SECONDS": "2",
    "CCS_STATE__RECOVERY_SECONDS": "0.5",
    "CCS_EVENTS__KAFKA__SESSION_SECONDS": "6",
}
PATIENT: Final = {"retries": {"total_max_attempts": 10, "mode": "standard"}}


class Ground(NamedTuple):
    """What a fleet stands on, all of it to be killed at will."""

    database: Service
    broker: brokers.Broker
    settings: Mapping[str, str]


@contextmanager
def on_postgres(_: Path) -> Iterator[tuple[Service, Mapping[str, str]]]:
    with postgres.running() as database:
        yield (
            database,
            {
                "CCS_STATE__KIND": "postgres",
                "CCS_STATE__POSTGRES__URL": database.url,
            },
        )


@contextmanager
def on_mongo(folder: Path) -> Iterator[tuple[Service, Mapping[str, str]]]:
    database = servers.mongo(folder)
    database.start()
    yield database, {"CCS_STATE__KIND": "mongo", "CCS_STATE__MONGO__URL": database.url}
    database.kill()


DATABASES: Final = {"postgres": on_postgres, "mongo": on_mongo}


@pytest.fixture(scope="module", params=DATABASES)
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp(request.param)
    broker = brokers.kafka(folder / "kafka")
    broker.start()
    events = {"CCS_EVENTS__KIND": "kafka", "CCS_EVENTS__KAFKA__SERVERS": broker.address}
    with DATABASES[request.param](folder / "database") as (database, settings):
        yield Ground(database, broker, {**on_s3(request), **settings, **events, **QUICK})
    broker.kill()


@pytest.fixture(scope="module")
def running(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet"), GATEWAYS, ground.settings) as gateways:
        yield gateways


@pytest.fixture(scope="module")
def followers(
    ground: Ground, running: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Follower]]:
    folder = tmp_path_factory.mktemp("followers")
    several = [Follower(folder / str(number), ground.settings) for number in range(FOLLOWERS)]
    for follower in several:
        follower.start()
    with s3_client(running.servers[0]) as s3:
        bucket = fresh_bucket(s3)
        until(lambda: is_followed(s3, bucket, several), "the first event", SETTLE_SECONDS)
    yield several
    for follower in several:
        follower.kill()


def is_followed(s3: S3Client, bucket: str, followers: list[Follower]) -> bool:
    s3.put_object(Bucket=bucket, Key="first", Body=b"")
    return any(follower.records() for follower in followers)


@pytest.mark.timeout(300)
def test_what_one_gateway_wrote_another_reads_at_once(running: Fleet) -> None:
    first, *others = running.servers
    with s3_client(first) as writer:
        bucket = fresh_bucket(writer)
        for number in range(20):
            key, content = f"cat-{number % 3}", f"meow {number}".encode()
            writer.put_object(Bucket=bucket, Key=key, Body=content)
            for other in others:
                with s3_client(other) as reader:
                    assert reader.get_object(Bucket=bucket, Key=key)["Body"].read() == content
                    assert key in listed(reader, bucket)
        writer.delete_object(Bucket=bucket, Key="cat-0")
        for other in others:
            with s3_client(other) as reader:
                assert "cat-0" not in listed(reader, bucket)


@pytest.mark.timeout(300)
def test_whatever_is_killed_nothing_is_lost(
    ground: Ground, running: Fleet, followers: list[Follower]
) -> None:
    history = History()
    with s3_client(running.servers[0]) as s3:
        bucket = fresh_bucket(s3)
        put_sources(s3, bucket)

    with Stubborn(running.balancer, bucket, history) as crowd:
        more(history)
        running.servers[0].kill()
        more(history)
        running.start(running.servers[0])
        followers[0].kill()
        more(history)
        followers[0].start()
        ground.broker.kill()
        more(history)
        ground.broker.start()
        more(history)
        ground.database.kill()
        ground.database.start()
        more(history)
        running.servers[1].kill()
        more(history)
        running.start(running.servers[1])

    assert set(crowd.refused) <= {"503", "EndpointConnectionError", "ConnectionClosedError"}
    with s3_client(running.servers[2]) as s3:
        until(lambda: agrees(s3, bucket, history), "all to be as it was told", SETTLE_SECONDS)
        until(lambda: told(s3, bucket, followers), "all events to be followed", SETTLE_SECONDS)


@pytest.mark.timeout(300)
def test_a_rolling_restart_fails_no_request(running: Fleet) -> None:
    history = History()
    with s3_client(running.servers[0]) as s3:
        bucket = fresh_bucket(s3)
        put_sources(s3, bucket)

    with Stubborn(running.balancer, bucket, history, config=PATIENT) as crowd:
        for server in running.servers:
            more(history)
            assert server.stop() == 0
            more(history)
            running.start(server)
        more(history)

    assert crowd.refused == []
    assert history.unanswered == 0
    with s3_client(running.servers[0]) as s3:
        assert agrees(s3, bucket, history)


def more(history: History) -> None:
    """Let the crowd do some more writes."""
    enough = history.acknowledged + WRITES
    until(lambda: history.acknowledged >= enough, f"{WRITES} writes", SETTLE_SECONDS)


def agrees(s3: S3Client, bucket: str, history: History) -> bool:
    """Whether every key holds what it may hold, wherever one looks."""
    found = digests(s3, bucket, history.keys())
    return all(held in history.possible(key) for key, held in found.items())


def told(s3: S3Client, bucket: str, followers: list[Follower]) -> bool:
    """Whether the newest event of each key that was followed is about what is there now."""
    newest: dict[str, dict[str, Any]] = {}
    for follower in followers:
        for record in follower.records():
            subject = record["s3"]["object"]
            if record["s3"]["bucket"]["name"] == bucket:
                key = unquote_plus(subject["key"])
                if subject["sequencer"] >= newest.get(key, {}).get("sequencer", ""):
                    newest[key] = subject
    there = {key: seen.etag.strip('"') for key, seen in listed(s3, bucket).items()}
    etags = {key: subject.get("eTag", "") for key, subject in newest.items()}
    return there == {key: etag for key, etag in etags.items() if etag}
