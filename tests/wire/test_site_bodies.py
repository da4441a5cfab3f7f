"""Bodies from another site, byte by byte: as they are, compressed, and wrong in every way."""

import base64
import hashlib
import itertools
import os
import sys
from collections.abc import Iterator, Mapping

import pytest
from msgspec import json

from backends.model import Facts, Version
from backends.signing import EMPTY, UNSIGNED, Keys, sign
from replication.documents import facts_of
from replication.messages import REGION, secret_of, to_header
from replication.topology import PROTOCOL, BucketFacts, Site
from s3proxy.listeners import SITE
from tests.wire.gateway import Answer, Client, running

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SECRET = "a-secret-that-all-sites-share-001"
TEXT = b"a line of a log that is like the line before\n" * 5000
NAME, ID = "west", "id-of-the-west"
STAMPS = itertools.count(1_700_000_000_000 << 16)
KEYS = itertools.count(1)


def version() -> Version:
    return Version(next(STAMPS), NAME)


class West:
    """The site that sends."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        payload: str = UNSIGNED,
        query: str = "",
    ) -> Answer:
        named = {**headers, "x-ccs-site-id": ID, "x-ccs-protocol": str(PROTOCOL)}
        host = f"127.0.0.1:{self._client.port}"
        keys = Keys(NAME, secret_of(SECRET, NAME))
        signed = sign(method, host, path, query, named, keys, REGION, payload=payload)
        signed["host"] = host
        if method in {"PUT", "POST"}:
            signed.setdefault("content-length", str(len(body)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        target = f"{path}?{query}" if query else path
        return self._client.raw(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    def tell(self, path: str, text: bytes) -> None:
        facts = to_header(facts_of(text, version()))
        assert self.ask("PUT", path, {"x-ccs-facts": facts}).status == 200

    def put(self, key: str, content: bytes, sent: bytes, **headers: str) -> Answer:
        """Send bytes for an object of that content."""
        etag = hashlib.md5(content).hexdigest()
        facts = to_header(Facts(version(), size=len(content), etag=etag, owner="main"))
        md5 = base64.b64encode(bytes.fromhex(etag)).decode()
        given = {"x-ccs-facts": facts, "content-md5": md5}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("PUT", f"/photos/{key}", given, sent)

    def compressed(self, key: str, sent: bytes, size: int = len(TEXT)) -> Answer:
        return self.put(key, TEXT, sent, x_ccs_encoding="zstd", x_ccs_decoded_length=str(size))

    def known(self, key: str) -> dict[str, object]:
        """What the gateway knows of the object."""
        keys = Keys(NAME, secret_of(SECRET, NAME))
        named = {"x-ccs-site-id": ID, "x-ccs-protocol": str(PROTOCOL)}
        host = f"127.0.0.1:{self._client.port}"
        path = f"/photos/{key}"
        signed = sign("GET", host, path, "facts=", named, keys, REGION, payload=EMPTY)
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**signed, "host": host}.items())
        answer = self._client.raw(f"GET {path}?facts= HTTP/1.1\r\n{lines}\r\n".encode())
        found: dict[str, object] = json.decode(answer.body)
        return found


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[West]:
    data = tmp_path_factory.mktemp("data")
    with running(data, SITE, sites={"secret": SECRET}, server={"body_seconds": 2}) as client:
        site = West(client)
        site.tell("/.ccs/sites/west", json.encode(Site(NAME, "http://127.0.0.1:9", ID)))
        site.tell("/.ccs/buckets/photos", json.encode(BucketFacts("main", 1)))
        yield site


@pytest.fixture
def key() -> str:
    return f"k-{next(KEYS)}"


def test_a_body_is_taken_as_it_is_and_compressed(west: West) -> None:
    plain = west.put("plain", TEXT, TEXT)
    packed = west.compressed("packed", zstd.compress(TEXT))

    assert [(answer.status, answer.body) for answer in (plain, packed)] == [
        (200, b'{"applied":true}')
    ] * 2
    assert west.known("packed")["facts"]


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        (zstd.compress(TEXT)[:-5], len(TEXT)),
        (TEXT, len(TEXT)),
        (os.urandom(1000), len(TEXT)),
        (b"", len(TEXT)),
        (zstd.compress(TEXT), len(TEXT) - 1),
        (zstd.compress(TEXT), len(TEXT) + 1),
        (zstd.compress(TEXT[1:]), len(TEXT) - 1),
        (zstd.compress(TEXT[:-1] + b"x"), len(TEXT)),
        (zstd.compress(TEXT) + b"tail", len(TEXT)),
        (zstd.compress(bytes(256 * 1024 * 1024)), len(TEXT)),
    ],
    ids=[
        *("cut off", "not compressed", "garbage", "nothing", "larger", "smaller"),
        *("of another size", "of another digest", "with a tail", "a bomb"),
    ],
)
def test_a_compressed_body_that_is_not_what_was_announced_leaves_nothing(
    west: West, key: str, sent: bytes, size: int
) -> None:
    answer = west.compressed(key, sent, size)

    assert 400 <= answer.status < 600, answer.body
    assert not west.known(key).get("facts")


@pytest.mark.parametrize("length", ["", "-1", "1e3", "x", "9" * 30])
def test_a_length_that_is_none_is_refused(west: West, key: str, length: str) -> None:
    answer = west.put(
        key, TEXT, zstd.compress(TEXT), x_ccs_encoding="zstd", x_ccs_decoded_length=length
    )

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_an_encoding_that_nobody_knows_is_refused(west: West, key: str) -> None:
    answer = west.put(key, TEXT, TEXT, x_ccs_encoding="br", x_ccs_decoded_length="1")

    assert (answer.status, answer.code) == (501, "NotImplemented")
