"""Where requests go: path or host, ports, prefixes, regions."""

import socket
from typing import Any

import pytest

from backends.errors import AccessDenied, BackendError, Refused, Unavailable
from backends.model import Facts, Version
from backends.storage.s3.addressing import Addressing, is_amazon
from backends.storage.source import BytesSource
from tests.unit.s3_endpoint import Answer, failure, opened, serving

FIRST = Facts(Version(1, "here"))
AMAZON = "https://s3.eu-west-1.amazonaws.com"
TOP = "http://s3.test:9000"


@pytest.mark.parametrize(
    ("endpoint", "virtual", "bucket", "url"),
    [
        (TOP, False, "photos", f"{TOP}/photos/a%20b/c"),
        (TOP, True, "photos", "http://photos.s3.test:9000/a%20b/c"),
        (TOP, True, "my.photos", "http://my.photos.s3.test:9000/a%20b/c"),
        ("https://s3.test", True, "my.photos", "https://s3.test/my.photos/a%20b/c"),
        (TOP, True, "My_Photos", f"{TOP}/My_Photos/a%20b/c"),
        (f"{TOP}/", False, "photos", f"{TOP}/photos/a%20b/c"),
        (f"{TOP}/storage/s3/", False, "photos", f"{TOP}/storage/s3/photos/a%20b/c"),
        (f"{TOP}/storage", True, "photos", "http://photos.s3.test:9000/storage/a%20b/c"),
        ("http://[::1]:9000", True, "photos", "http://[::1]:9000/photos/a%20b/c"),
        ("http://10.0.0.1", True, "photos", "http://10.0.0.1/photos/a%20b/c"),
        ("http://me:pw@s3.test", False, "photos", "http://s3.test/photos/a%20b/c"),
    ],
)
def test_a_bucket_stands_where_it_can(endpoint: str, virtual: bool, bucket: str, url: str) -> None:
    addressing = Addressing(endpoint, virtual=virtual)

    host, path = addressing.place(bucket, "a b/c")

    assert f"{addressing.scheme}://{host}{path}" == url


@pytest.mark.parametrize(
    ("endpoint", "amazons"),
    [
        (AMAZON, True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://bucket.vpce-1a.s3.us-east-1.vpce.amazonaws.com", True),
        ("https://s3.amazonaws.com.storage.test", False),
        (TOP, False),
    ],
)
def test_amazons_own_endpoints_are_known(endpoint: str, amazons: bool) -> None:
    assert is_amazon(endpoint) is amazons


@pytest.mark.parametrize("key", ["a", "..", "../x", "a//b/", "é?#&+ %2F", "a\\b\n\x01", "~'()*!"])
@pytest.mark.parametrize("prefix", ["", "/storage"])
async def test_both_ways_ask_for_the_same_place(key: str, prefix: str) -> None:
    """Our own requests, and those of botocore."""
    async with serving() as endpoint, opened(endpoint.url + prefix) as store:
        await store.head("photos", key)
        tags = Answer(pieces=[b"<Tagging><TagSet/></Tagging>"])
        endpoint.answers = [tags]
        client = store._client
        await client.ask("get_object_tagging", "both", Bucket="photos", Key=key)

    ours, theirs = (one.target.removesuffix("?tagging") for one in endpoint.asked)
    assert ours == theirs
    assert ours.startswith(f"{prefix}/photos/")


async def test_an_ipv6_endpoint() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with serving("::1") as endpoint, opened(f"http://[::1]:{endpoint.port}") as store:
        await store.head("photos", "cat")

    assert endpoint.asked[0].headers["Host"] == f"[::1]:{endpoint.port}"


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (
            failure(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            AccessDenied,
            "set region to eu-west-1",
        ),
        (Answer(400, {"x-amz-bucket-region": "eu-west-1"}), Refused, "set region to eu-west-1"),
        (
            Answer(301, {"x-amz-bucket-region": "eu-west-1"}),
            AccessDenied,
            "set region to eu-west-1",
        ),
        (
            failure(301, "PermanentRedirect", "<Endpoint>s3-2.test</Endpoint>"),
            AccessDenied,
            r"another endpoint, s3-2\.test",
        ),
        (failure(307, "TemporaryRedirect"), Unavailable, "307 TemporaryRedirect"),
        (failure(403, "RequestTimeTooSkewed"), AccessDenied, "set the clock"),
        (failure(403, "SignatureDoesNotMatch"), AccessDenied, "check secret_key"),
        (failure(403, "InvalidAccessKeyId"), AccessDenied, "does not know the access key"),
        (failure(400, "ExpiredToken"), AccessDenied, "a new one is needed"),
        (failure(501, "NotImplemented"), BackendError, r"docs/storages\.md"),
        (failure(400, "MetadataTooLarge"), Refused, "2 KB of metadata"),
        (failure(403, "InvalidObjectState"), AccessDenied, "restored in the storage first"),
    ],
)
async def test_an_error_says_what_to_do(
    answer: Answer, error: type[BackendError], sentence: str
) -> None:
    async with serving() as endpoint, opened(endpoint.url) as store:
        endpoint.answers = [answer] * 3
        with pytest.raises(error, match=sentence):
            await store.get("photos", "cat")


async def test_the_region_of_the_endpoint_is_no_advice() -> None:
    async with serving() as endpoint, opened(endpoint.url) as store:
        endpoint.answers = [failure(403, "AccessDenied", x_amz_bucket_region="us-east-1")]
        with pytest.raises(AccessDenied) as raised:
            await store.get("photos", "cat")

    assert "region" not in str(raised.value)


@pytest.mark.parametrize("verb", ["find_bucket", "delete_bucket"])
async def test_rare_verbs_say_it_too(verb: str) -> None:
    wrong = failure(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")
    async with serving() as endpoint, opened(endpoint.url) as store:
        endpoint.answers = [wrong] * 4
        with pytest.raises(AccessDenied, match="set region to eu-west-1"):
            await getattr(store, verb)("photos")


async def test_an_error_that_comes_in_pieces_is_read_whole() -> None:
    [document] = failure(404, "NoSuchUpload").pieces
    async with serving() as endpoint, opened(endpoint.url) as store:
        endpoint.answers = [Answer(404, {}, [document[:20], document[20:]])]
        with pytest.raises(BackendError, match="NoSuchUpload"):
            await store.get("photos", "cat")


@pytest.mark.parametrize("options", [{"region": "no such region!"}, {"endpoint": "http://a b"}])
async def test_what_cannot_be_asked_is_refused(options: dict[str, Any]) -> None:
    async with opened(**{"endpoint": TOP, **options}) as store:
        with pytest.raises(BackendError):
            await store.ping()


async def test_a_header_that_cannot_be_sent_is_refused() -> None:
    facts = Facts(Version(1, "here"), headers={"content-type": "a\r\nb"})
    async with serving() as endpoint, opened(endpoint.url) as store:
        with pytest.raises(Refused, match="cannot be sent"):
            await store.put("photos", "cat", BytesSource(b"meow", facts))

    assert endpoint.asked == []
