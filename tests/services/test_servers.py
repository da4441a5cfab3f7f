"""The servers that storage drivers are tried against, themselves tried."""

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError

import boto3
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client
from pymongo import MongoClient, WriteConcern

from tests.e2e.waiting import until
from tests.services import postgres, servers
from tests.services.places import place_of
from tests.services.process import Service, free_port

ROOT: Final = Path(__file__).parents[2]
JOURNALLED: Final = WriteConcern(j=True)
GONE_SECONDS: Final = 30
WEB: Final = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1")
ORPHAN: Final = """
import os, signal, sys
from pathlib import Path
from tests.services.process import Service

service = Service(Path(sys.argv[1]), lambda _, port: [*sys.argv[2:], str(port)])
service.start()
print(service.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Kind(NamedTuple):
    """A server, and how it answers somebody without a key who asks for its buckets."""

    make: Callable[[Path], Service]
    path: str
    status: int


KINDS: Final = {
    "versitygw": Kind(servers.versitygw, "/", 403),
    "moto": Kind(servers.moto, "/", 200),
    "azurite": Kind(servers.azurite, f"/{servers.AZURE_ACCOUNT}?comp=list", 403),
    "fake_gcs": Kind(servers.fake_gcs, "/storage/v1/b", 200),
}


def status_of(request: str | urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.kill()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_server_answers_and_answers_at_the_same_address_after_a_kill(
    kind: Kind, tmp_path: Path
) -> None:
    with running(kind.make(tmp_path / "server")) as service:
        address = service.url + kind.path
        assert status_of(address) == kind.status
        service.kill()
        assert not listens(service.port)
        service.start()
        assert status_of(address) == kind.status


def test_versitygw_refuses_a_wrong_secret_and_keeps_a_bucket_over_a_kill(tmp_path: Path) -> None:
    with running(servers.versitygw(tmp_path / "server")) as service:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3(service, "a-wrong-secret").create_bucket(Bucket="photos")
        s3(service, servers.S3_SECRET).create_bucket(Bucket="photos")
        service.kill()
        service.start()
        buckets = s3(service, servers.S3_SECRET).list_buckets()["Buckets"]
        assert [bucket["Name"] for bucket in buckets] == ["photos"]


def test_postgres_answers_and_answers_at_the_same_address_after_a_kill() -> None:
    with postgres.running() as service:
        assert count_of_databases(service) == 3
        service.kill()
        assert not listens(service.port)
        service.start()
        assert count_of_databases(service) == 3
    assert not service.folder.exists()


def count_of_databases(service: Service) -> int:
    command = ["--dbname", service.url, "-Atc", "SELECT count(*) FROM pg_database"]
    return int(subprocess.check_output([postgres.program("psql"), *command]))


@pytest.mark.parametrize(("durable", "status"), [(True, 200), (False, 404)])
def test_fake_gcs_keeps_a_bucket_over_a_kill_if_durable(
    durable: bool, status: int, tmp_path: Path
) -> None:
    with running(servers.fake_gcs(tmp_path / "server", durable=durable)) as service:
        buckets = f"{service.url}/storage/v1/b"
        json = {"Content-Type": "application/json"}
        assert status_of(urllib.request.Request(buckets, b'{"name": "photos"}', json)) == 200
        service.kill()
        service.start()
        assert status_of(f"{buckets}/photos") == status


def test_mongo_keeps_what_is_in_its_journal_over_a_kill(tmp_path: Path) -> None:
    tom: dict[str, Any] = {"_id": "tom"}
    with running(servers.mongo(tmp_path / "server")) as service:
        with mongo_client(service) as client:
            client.photos.get_collection("cats", write_concern=JOURNALLED).insert_one(tom)
        service.kill()
        service.start()
        with mongo_client(service) as client:
            assert client.photos.cats.find_one() == tom


def test_a_service_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    service = Service(tmp_path / "server", lambda _, __: ["sh", "-c", "echo no luck; exit 3"])
    with pytest.raises(AssertionError, match=r"ended[^$]*no luck"):
        service.start()


def test_a_service_that_never_listens_is_killed_and_shows_its_log(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo $$ >pid; echo thinking; exec sleep 600"]
    service = Service(tmp_path / "server", lambda _, __: command, patience=0.5)
    with pytest.raises(AssertionError, match=r"in vain[^$]*thinking"):
        service.start()
    assert not Path("/proc", (service.folder / "pid").read_text().strip()).exists()


def test_a_service_can_be_killed_before_and_after_its_life(tmp_path: Path) -> None:
    service = Service(tmp_path / "server", lambda _, port: [*WEB, str(port)])
    service.kill()
    service.start()
    service.kill()
    service.kill()


def test_a_service_is_gone_when_the_test_run_is_killed(tmp_path: Path) -> None:
    run = [sys.executable, "-c", ORPHAN, str(tmp_path / "server"), *WEB]
    told = subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, check=False).stdout
    port = int(told)
    until(lambda: not listens(port), f"port {port} to be left", GONE_SECONDS)


def test_a_free_port_is_one_that_can_be_bound() -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", free_port()))


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_tool_fails_in_ci_and_skips_elsewhere(
    ci: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="run tests/clients/install"):
        place_of("versitygw")


def mongo_client(service: Service) -> "MongoClient[dict[str, Any]]":
    return MongoClient(service.url)


def s3(service: Service, secret: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=service.url,
        region_name=servers.REGION,
        aws_access_key_id=servers.S3_ACCESS,
        aws_secret_access_key=secret,
    )
