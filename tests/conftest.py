"""Servers of others, one of each for a test process, started when a test first asks."""

from collections.abc import Iterator
from typing import TypeVar

import pytest

from tests.services import brokers, servers
from tests.services import postgres as postgresql
from tests.services.brokers import Broker
from tests.services.process import Service
from tests.stubs.gcs import Stub
from tests.stubs.running import Thread

Running = TypeVar("Running", bound=Service)


def _running(service: Running) -> Iterator[Running]:
    service.start()
    yield service
    service.kill()


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from _running(servers.versitygw(tmp_path_factory.mktemp("versitygw")))


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from _running(servers.moto(tmp_path_factory.mktemp("moto")))


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from _running(servers.azurite(tmp_path_factory.mktemp("azurite")))


@pytest.fixture(scope="session")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from _running(servers.fake_gcs(tmp_path_factory.mktemp("fake-gcs")))


@pytest.fixture(scope="session")
def gcs_stub() -> Iterator[str]:
    """The URL of a strict stub of Google Cloud Storage."""
    stub = Stub()
    thread = Thread(stub.answer)
    thread.start()
    stub.url = thread.url
    yield thread.url
    thread.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Service]:
    with postgresql.running() as service:
        yield service


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from _running(servers.mongo(tmp_path_factory.mktemp("mongo")))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from _running(brokers.kafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def pulsar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from _running(brokers.pulsar(tmp_path_factory.mktemp("pulsar")))
