"""Settings that change how requests are read."""

from collections.abc import Iterator
from email.utils import formatdate

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest

from tests.wire.gateway import MAIN, Client, running

DOMAIN = "s3.example.com"


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Takes SigV2 and virtual hosts, and says yes to one region only."""
    s3 = {"sigv2": True, "domains": [DOMAIN], "pin_region": True, "region": "us-east-1"}
    with running(tmp_path_factory.mktemp("data"), s3=s3) as client:
        assert client.ask("PUT", "/photos").status == 200
        assert client.ask("PUT", "/photos/cat", body=b"meow").status == 200
        yield client


def sigv2(client: Client, target: str, *, in_query: bool) -> tuple[str, dict[str, str]]:
    """Target and headers of a GET signed with version 2."""
    host = f"127.0.0.1:{client.port}"
    request = AWSRequest("GET", f"http://{host}{target}", {"Date": formatdate(usegmt=True)})
    request.auth_path = target
    signer = HmacV1QueryAuth(MAIN, expires=60) if in_query else HmacV1Auth(MAIN)
    signer.add_auth(request)
    return str(request.url).removeprefix(f"http://{host}"), dict(request.headers.items())


@pytest.mark.parametrize("in_query", [False, True], ids=["header", "presigned"])
def test_version_2_is_accepted_where_it_is_allowed(lenient: Client, in_query: bool) -> None:
    target, headers = sigv2(lenient, "/photos/cat", in_query=in_query)

    assert lenient.ask("GET", target, headers, credentials=None).body == b"meow"


@pytest.mark.parametrize("in_query", [False, True], ids=["header", "presigned"])
def test_version_2_is_refused_by_default(client: Client, bucket: str, in_query: bool) -> None:
    target, headers = sigv2(client, f"/{bucket}/cat", in_query=in_query)

    assert client.ask("GET", target, headers, credentials=None).code == "InvalidRequest"


def test_a_bucket_may_stand_in_the_host(lenient: Client) -> None:
    host = {"host": f"photos.{DOMAIN}"}

    assert lenient.ask("GET", "/cat", host).body == b"meow"
    assert b"<Key>cat</Key>" in lenient.ask("GET", "/", host).body
    assert lenient.ask("GET", "/photos/cat", {"host": DOMAIN}).body == b"meow"


def test_another_region_is_refused_where_one_is_pinned(lenient: Client, client: Client) -> None:
    def ask(asked: Client) -> str:
        head = asked.head_of("GET", "/").replace(b"us-east-1", b"eu-north-1")
        return asked.raw(head).code

    assert ask(lenient) == "AuthorizationHeaderMalformed"
    assert ask(client) == "SignatureDoesNotMatch"
