"""Sites on different technology: PostgreSQL, Kafka and S3, and MongoDB's wire, Kafka and disk.

What is seen through S3 alone must end alike, whatever is killed.
"""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.e2e.agreement import Seen, digests, listed
from tests.e2e.clients import s3_client
from tests.e2e.fleet import Stubborn
from tests.e2e.grounds import on_s3
from tests.e2e.history import History
from tests.e2e.sites import Group, Member, sites
from tests.e2e.waiting import until
from tests.e2e.writers import put_sources
from tests.services.brokers import Broker
from tests.services.process import Service

ALIKE_SECONDS: Final = 90
WRITES: Final = 80
BUCKET: Final = "mixed"
PUSHED_ALONE: Final = {"CCS_SITES__REMOTE_READ": "off"}


@pytest.fixture
def pair(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: Service,
    mongo: Service,
    kafka: Broker,
) -> Iterator[Group]:
    mark = uuid.uuid4().hex[:8]
    east = {
        "CCS_STATE__KIND": "postgres",
        "CCS_STATE__POSTGRES__URL": postgres.url,
        "CCS_STATE__POSTGRES__SCHEMA_NAME": f"east_{mark}",
        **on_s3(request),
    }
    west = {
        "CCS_STATE__KIND": "mongo",
        "CCS_STATE__MONGO__URL": mongo.url,
        "CCS_STATE__MONGO__DATABASE": f"west_{mark}",
    }
    events = {"CCS_EVENTS__KIND": "kafka", "CCS_EVENTS__KAFKA__SERVERS": kafka.address}
    settings = {
        name: own | events | PUSHED_ALONE | {"CCS_EVENTS__KAFKA__TOPIC": f"{name}-{mark}"}
        for name, own in (("east", east), ("west", west))
    }
    with sites(tmp_path_factory.mktemp("mixed"), ["east", "west"], settings) as group:
        yield group


@pytest.mark.timeout(400)
def test_sites_on_different_technology_end_alike_whatever_is_killed(pair: Group) -> None:
    history = History(slack=0.005)
    with s3_client(pair[0].server) as s3:
        s3.create_bucket(Bucket=BUCKET)
        put_sources(s3, BUCKET)
    until(lambda: seen(pair[1]) == seen(pair[0]), "the sources in the west", ALIKE_SECONDS)

    for number, victim in enumerate(pair):
        with ExitStack() as stack:
            for member in pair:
                seeds = [number * 10 + len(member.name), number * 10 + 5]
                stack.enter_context(Stubborn(member.server, BUCKET, history, seeds))
            written(history, WRITES // 2)
            victim.server.kill()
            written(history, WRITES // 2)
        victim.server.start()

    until(lambda: seen(pair[1]) == seen(pair[0]), "both to be alike", ALIKE_SECONDS)
    for member in pair:
        with s3_client(member.server) as s3:
            found = digests(s3, BUCKET, history.keys())
        wrong = {key: held for key, held in found.items() if held not in history.possible(key)}
        assert not wrong, member.name


def written(history: History, more: int) -> None:
    """Wait for so many writes more."""
    enough = history.acknowledged + more
    until(lambda: history.acknowledged >= enough, f"{more} writes", 60)


def seen(member: Member) -> dict[str, Seen]:
    """What a client sees of the bucket."""
    with s3_client(member.server) as s3:
        buckets = {one["Name"] for one in s3.list_buckets()["Buckets"]}
        return listed(s3, BUCKET) if BUCKET in buckets else {}
