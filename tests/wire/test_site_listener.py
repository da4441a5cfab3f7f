"""The site listener, asked wrongly in every way: clear errors, nothing lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import json

from backends.model import Facts, Version
from replication.documents import facts_of
from replication.messages import to_header
from replication.topology import BucketFacts, Site, SiteState
from s3proxy.listeners import SITE
from tests.wire.gateway import running
from tests.wire.test_site_bodies import ID, NAME, SECRET, West, version

FACTS = to_header(Facts(Version(1 << 16, NAME), size=3, etag="0" * 32, owner="main"))
OWNER = {"x-amz-expected-bucket-owner": "somebody"}


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[West]:
    sections = {"site": {"name": "east"}, "sites": {"secret": SECRET}}
    with running(tmp_path_factory.mktemp("east"), listener=SITE, **sections) as client:
        site = West(client)
        site.tell("/.ccs/sites/west", json.encode(Site(NAME, "http://west", ID)))
        site.tell("/.ccs/buckets/photos", json.encode(BucketFacts("main", 1)))
        yield site


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("PUT", "/photos/cat", {}, 400, "InvalidRequest"),
        ("PUT", "/photos/cat", {"x-ccs-facts": "?"}, 400, "InvalidRequest"),
        ("PUT", "/photos/cat", {"x-ccs-facts": "bnVsbA=="}, 400, "InvalidRequest"),
        ("PUT", "/photos/cat", {"x-ccs-facts": FACTS} | OWNER, 400, "InvalidRequest"),
        ("PUT", "/nowhere/cat", {"x-ccs-facts": FACTS}, 404, "NoSuchBucket"),
        ("PUT", "/.ccs.local/identity", {"x-ccs-facts": FACTS}, 400, "InvalidRequest"),
        ("DELETE", "/.ccs.local/identity", {"x-ccs-version": "1"}, 400, "InvalidRequest"),
        ("DELETE", "/photos/cat", {"x-ccs-version": "latest"}, 400, "InvalidRequest"),
        ("GET", "/photos/cat", {"x-ccs-version": str(version())}, 404, "NoSuchKey"),
        ("GET", "/photos/cat", {}, 400, "InvalidRequest"),
        ("GET", "/-/secrets", {}, 501, "NotImplemented"),
        ("GET", "/photos", {}, 501, "NotImplemented"),
        ("GET", "/", {}, 501, "NotImplemented"),
        ("POST", "/photos/cat", {}, 405, "MethodNotAllowed"),
    ],
)
def test_what_a_site_asks_wrongly_is_refused(
    west: West, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = west.ask(method, path, headers)
    assert answer.status == status, answer.body
    assert f"<Code>{code}</Code>".encode() in answer.body


def test_a_body_that_is_not_what_its_facts_say_becomes_nothing(west: West) -> None:
    answer = west.put("wrong", b"meow", b"woof")
    assert (answer.status, b"BadDigest" in answer.body) == (400, True)
    assert west.known("wrong") == {"facts": None, "deleted": False}


def test_a_bucket_document_that_is_none_makes_no_bucket(west: West) -> None:
    facts = to_header(facts_of(b'{"created": "yesterday"}', version()))
    answer = west.ask("PUT", "/.ccs/buckets/odd", {"x-ccs-facts": facts})
    assert (answer.status, b"InvalidRequest" in answer.body) == (400, True)
    facts = to_header(facts_of(json.encode(BucketFacts("main", 1)), version()))
    answer = west.ask("PUT", "/.ccs/buckets/NOT_A_NAME", {"x-ccs-facts": facts})
    assert (answer.status, b"InvalidBucketName" in answer.body) == (400, True)


def test_a_change_comes_again_and_late_without_harm(west: West) -> None:
    old, new = version(), version()
    photos = "/photos/again"
    for late in (new, new, old):
        west.ask("DELETE", photos, {"x-ccs-version": str(late)})
    facts = to_header(Facts(old, size=0, etag="d41d8cd98f00b204e9800998ecf8427e", owner="main"))
    answer = west.ask("PUT", photos, {"x-ccs-facts": facts})
    assert json.decode(answer.body) == {"applied": False}
    known = west.known("again")
    assert (known["deleted"], known["facts"]) == (True, json.decode(json.encode(Facts(new))))


def test_a_site_that_was_removed_or_is_another_one_is_shut_out(tmp_path: Path) -> None:
    sections = {"site": {"name": "east"}, "sites": {"secret": SECRET}}
    with running(tmp_path, listener=SITE, **sections) as client:
        west = West(client)
        assert west.ask("PUT", "/photos/cat", {"x-ccs-facts": FACTS}).status == 403
        assert west.ask("GET", "/-/hello", {}).status == 200
        other = Site(NAME, "http://west", "the id of another")
        west.tell("/.ccs/sites/west", json.encode(other))
        answer = west.ask("GET", "/-/hello", {})
        assert (answer.status, b"another site is known" in answer.body) == (403, True)
    removed = Site(NAME, "http://west", ID, SiteState.REMOVED)
    with running(tmp_path / "other", listener=SITE, **sections) as client:
        west = West(client)
        west.tell("/.ccs/sites/west", json.encode(removed))
        answer = west.ask("GET", "/-/hello", {})
        assert (answer.status, b"was removed" in answer.body) == (403, True)
