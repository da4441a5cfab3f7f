"""Servers, clients and fresh buckets for tests that see the gateway only from outside."""

import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import trustme
from mypy_boto3_s3 import S3Client

from tests.e2e.apart import Apart
from tests.e2e.apart import apart as sites_apart
from tests.e2e.clients import s3_client
from tests.e2e.grounds import GROUNDS, USUAL
from tests.e2e.server import SECOND, Certificate, Server

DOMAIN = "s3.localhost"


class Start(Protocol):
    """Starts a server of one's own, which the fixture ends."""

    def __call__(self, *, workers: int = 1, **settings: str) -> Server: ...


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_machine() -> Iterator[None]:
    """Keep AWS settings of whoever runs the tests out of them."""
    nowhere = "/nonexistent"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, nowhere)
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost", DOMAIN, f"*.{DOMAIN}")
    made = Certificate(folder / "chain.pem", folder / "key.pem", folder / "authority.pem")
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(str(made.chain), append=number > 0)
    leaf.private_key_pem.write_to_path(str(made.key))
    authority.cert_pem.write_to_path(str(made.authority))
    return made


@pytest.fixture(scope="session")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over plain http that serves two clients, for the whole session."""
    yield from _serving(Server(tmp_path_factory.mktemp("http") / "data", settings=_domains()))


@pytest.fixture(scope="session")
def https(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Server]:
    """The same over TLS."""
    data = tmp_path_factory.mktemp("https") / "data"
    yield from _serving(Server(data, certificate=certificate, settings=_domains()))


def _domains() -> Mapping[str, str]:
    return {"CCS_S3__DOMAINS": DOMAIN}


def _serving(server: Server) -> Iterator[Server]:
    server.start()
    server.add_key("second", SECOND)
    yield server
    left = server.stop()
    shutil.rmtree(server.data)
    assert left == 0, server.log.read_text()[-4000:]
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-4000:]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a server over each ground that its module names, or over the usual ones."""
    if "server" in metafunc.fixturenames:
        grounds = getattr(metafunc.module, "GROUNDS", USUAL)
        metafunc.parametrize("server", grounds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The server of the boto3 suite: over http and https, then over each storage and state."""
    if request.param in GROUNDS:
        settings = GROUNDS[request.param](request)
        data = tmp_path_factory.mktemp("ground") / "data"
        yield from _serving(Server(data, settings={**_domains(), **settings}))
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def s3(server: Server) -> Iterator[S3Client]:
    """boto3 as it is by default, but for retries."""
    with s3_client(server) as client:
        yield client


@pytest.fixture
def bucket(s3: S3Client) -> str:
    """A fresh bucket of the first client's."""
    return fresh_bucket(s3)


def fresh_bucket(s3: S3Client) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers of the test's own; those that still run in the end are killed."""
    servers: list[Server] = []

    def started(*, workers: int = 1, **settings: Any) -> Server:
        server = Server(tmp_path / f"data-{len(servers)}", workers=workers, settings=settings)
        servers.append(server)
        server.start()
        return server

    yield started
    for server in servers:
        server.kill()
        shutil.rmtree(server.data, ignore_errors=True)


@pytest.fixture(scope="session")
def three_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """Three sites, of which one has to read what the others have."""
    with sites_apart(tmp_path_factory.mktemp("apart")) as found:
        yield found


@pytest.fixture
def apart(three_sites: Apart) -> Iterator[Apart]:
    """The same, with links that are whole in the end."""
    yield three_sites
    three_sites.heal()
