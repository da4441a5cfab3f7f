"""Two sites on different networks, with a link between them that is narrow, and breaks."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.e2e.agreement import got
from tests.e2e.bodies import MIB, body, digest
from tests.e2e.clients import s3_client
from tests.e2e.namespaces import Namespace, two_networks
from tests.e2e.server import Server
from tests.e2e.sites import QUICK, SECRET, Member
from tests.e2e.waiting import until
from tests.services.faults import Link

SECONDS: Final = 60
PORT: Final = 9003
RATE: Final = "40mbit"


class Place(NamedTuple):
    """A site, and the network it is in."""

    network: Namespace
    member: Member


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    folder = tmp_path_factory.mktemp("networks")
    with two_networks(RATE) as networks:
        east, west = (
            Place(network, site(folder, name, network))
            for name, network in zip(("east", "west"), networks, strict=True)
        )
        try:
            for place in (east, west):
                place.network.run(place.member.server.start)
            endpoint = f"http://{west.network.address}:{PORT}"
            east.network.run(lambda: east.member.call("POST", "/sites", {"endpoint": endpoint}))
            yield east, west
        finally:
            for place in (east, west):
                place.member.server.kill()


def site(folder: Path, name: str, network: Namespace) -> Member:
    settings = {
        **QUICK,
        "CCS_SITE__NAME": name,
        "CCS_SITES__SECRET": SECRET,
        "CCS_SITES__HOST": network.address,
        "CCS_SITES__PORT": str(PORT),
        "CCS_SITES__PART_BYTES": str(5 * MIB),
        "CCS_SITES__REMOTE_READ": "off",
    }
    return Member(name, Server(folder / name, settings=settings), Link(PORT))


def put(place: Place, key: str, content: bytes) -> None:
    with s3_client(place.member.server) as s3:
        s3.create_bucket(Bucket="wide")
        s3.put_object(Bucket="wide", Key=key, Body=content)


def holds(place: Place, key: str, content: bytes) -> bool:
    with s3_client(place.member.server) as s3:
        return got(s3, "wide", key)[1] == digest(content)


def arrives(place: Place, key: str, content: bytes) -> None:
    place.network.run(
        lambda: until(lambda: holds(place, key, content), f"{key} to arrive", SECONDS)
    )


def test_small_and_large_objects_cross_a_wide_network(places: tuple[Place, Place]) -> None:
    east, west = places
    large = body(12 * MIB, seed=7)
    east.network.run(lambda: put(east, "small", b"small"))
    east.network.run(lambda: put(east, "large", large))
    arrives(west, "small", b"small")
    arrives(west, "large", large)
    west.network.run(lambda: put(west, "back", b"back"))
    arrives(east, "back", b"back")


def test_a_network_that_breaks_and_heals_loses_nothing(places: tuple[Place, Place]) -> None:
    east, west = places
    contents = {f"key-{number}": body(200_000, seed=number) for number in range(10)}
    east.network.link("down")
    for key, content in contents.items():
        east.network.run(partial(put, east, key, content))
    east.network.run(
        lambda: until(
            lambda: east.member.status("west")["last_error"], "the break to be noticed", SECONDS
        )
    )
    east.network.link("up")
    for key, content in contents.items():
        arrives(west, key, content)
