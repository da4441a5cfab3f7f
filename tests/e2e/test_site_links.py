"""Two sites over a link that is narrow, or that both compress for."""

import itertools
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.agreement import got
from tests.e2e.bodies import MIB, body
from tests.e2e.clients import s3_client
from tests.e2e.sites import Group, sites
from tests.e2e.waiting import until

SECONDS: Final = 60
TEXT: Final = b"a line of a log that is like the line before\n" * (7 * MIB // 45)
OUT: Final[dict[str, object]] = {"direction": "out"}
SETTINGS: Final = {
    "CCS_SITES__PART_BYTES": str(5 * MIB),
    "CCS_SITES__WHOLE_BYTES": "0",
    "CCS_SITES__REMOTE_READ": "off",
    "CCS_SITES__COMPRESSION": "zstd",
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    folder = tmp_path_factory.mktemp("pair")
    with sites(folder, ["east", "west"], {"east": SETTINGS, "west": SETTINGS}) as group:
        with s3_client(group[0].server) as s3:
            s3.create_bucket(Bucket="photos")
        yield group


@pytest.fixture
def east(pair: Group) -> Iterator[S3Client]:
    with s3_client(pair[0].server) as s3:
        yield s3


@pytest.fixture
def west(pair: Group) -> Iterator[S3Client]:
    with s3_client(pair[1].server) as s3:
        yield s3


def is_there(s3: S3Client, key: str) -> bool:
    return got(s3, "photos", key)[0] is not None


@pytest.mark.parametrize("size", [100_000, len(TEXT)], ids=["whole", "in parts"])
def test_what_shrinks_arrives_as_it_was(
    pair: Group, east: S3Client, west: S3Client, size: int
) -> None:
    east.put_object(Bucket="photos", Key=f"log-{size}", Body=TEXT[:size])

    until(lambda: is_there(west, f"log-{size}"), "the log to arrive", SECONDS)

    assert west.get_object(Bucket="photos", Key=f"log-{size}")["Body"].read() == TEXT[:size]
    pair.until_alike("photos")


def test_a_limit_holds_at_once_and_so_does_its_end(
    pair: Group, east: S3Client, west: S3Client
) -> None:
    limits = partial(pair[0].call, "PATCH", "/sites/west")
    numbers = itertools.count(1)

    def seconds_of_another() -> float:
        key = f"noise-{next(numbers)}"
        began = time.monotonic()
        east.put_object(Bucket="photos", Key=key, Body=body(8 * MIB, seed=1))
        until(lambda: is_there(west, key), "the noise to arrive", SECONDS)
        return time.monotonic() - began

    limits({"bandwidth": [OUT | {"bytes_per_second": MIB}]})
    until(lambda: seconds_of_another() > 6.5, "the limit to hold", SECONDS)
    limits({"bandwidth": [OUT | {"bytes_per_second": 65_536}]})
    east.put_object(Bucket="photos", Key="long", Body=body(16 * MIB, seed=2))
    until(lambda: pair[0].status("west")["in_flight"] == 1, "it to be under way", SECONDS)
    limits({"bandwidth": []})
    until(lambda: is_there(west, "long"), "the long one to arrive, freed", SECONDS)

    pair.until_alike("photos")


def test_what_shrinks_passes_a_narrow_link_that_is_too_narrow_for_it_as_it_is(
    pair: Group, east: S3Client, west: S3Client
) -> None:
    pair[0].call("PATCH", "/sites/west", {"bandwidth": [OUT | {"bytes_per_second": 65_536}]})

    for number in range(3):
        east.put_object(Bucket="photos", Key=f"narrow-{number}", Body=TEXT)
    until(lambda: is_there(west, "narrow-2"), "the text to arrive", SECONDS)

    pair.until_alike("photos", SECONDS)
    pair[0].call("PATCH", "/sites/west", {"bandwidth": []})
