"""One gateway for all wire tests of a module, a bucket for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.gateway import Client, running

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    data: Path = tmp_path_factory.mktemp("data")
    with running(data, server={"header_seconds": 2, "body_seconds": 2}) as gateway:
        yield gateway


@pytest.fixture
def bucket(client: Client) -> str:
    name = f"bucket-{next(NUMBERS)}"
    assert client.ask("PUT", f"/{name}").status == 200
    return name
