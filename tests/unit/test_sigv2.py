"""SigV2 against botocore as an oracle, then what must be refused."""

from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.dates import parse_http_date
from s3proxy.s3.errors import S3Error
from s3proxy.s3.signature import Claim, SignedRequest, claim, verify

ACCESS_KEY, SECRET = "key", "a secret"
SIGNER = Credentials(ACCESS_KEY, SECRET)
SUBRESOURCES = ["acl", "uploads", "partNumber", "uploadId", "response-content-type", "prefix", "x"]

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
queries = st.dictionaries(st.sampled_from(SUBRESOURCES), words.filter(bool))
metadata = st.dictionaries(st.from_regex("x-amz-meta-[a-z0-9]{1,9}", fullmatch=True), words)


def signed(
    key: str = "key",
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    *,
    url: bool = False,
) -> SignedRequest:
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in (query or {}).items())
    address = f"http://s3.example.org/bucket/{quote(key, safe='/~')}" + (
        f"?{pairs}" if pairs else ""
    )
    request = AWSRequest("GET", address, headers or {})
    (HmacV1QueryAuth(SIGNER, expires=600) if url else HmacV1Auth(SIGNER)).add_auth(request)
    parts = urlsplit(str(request.url))
    sent = {name.lower(): str(value) for name, value in request.headers.items()}
    return SignedRequest("GET", parts.path, parts.query, {"host": "s3.example.org", **sent})


def claimed(request: SignedRequest) -> Claim:
    found = claim(request, sigv2=True)
    assert found is not None
    return found


def check(request: SignedRequest, secret: str = SECRET, *, later: int = 0) -> None:
    found = claimed(request)
    now = found.signed_at or (found.expires or 0) - 600
    assert verify(found, request, secret, now=now + later) is None


def refusal(request: SignedRequest, secret: str = SECRET, *, later: int = 0) -> S3Error:
    with pytest.raises(S3Error) as caught:
        check(request, secret, later=later)
    return caught.value


@given(keys, queries, metadata, st.booleans())
def test_what_botocore_signs_is_verified(
    key: str, query: dict[str, str], headers: dict[str, str], url: bool
) -> None:
    request = signed(key, query, headers | {"content-type": "text/plain"}, url=url)

    check(request)
    assert claimed(request).access_key == ACCESS_KEY


def test_the_published_example_is_verified() -> None:
    """The S3 developer guide's GET of a photo, virtual-host style."""
    headers = {
        "host": "awsexamplebucket1.us-west-1.s3.amazonaws.com",
        "date": "Tue, 27 Mar 2007 19:36:42 +0000",
        "authorization": "AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
    }
    request = SignedRequest("GET", "/photos/puppy.jpg", "", headers, "awsexamplebucket1")
    now = parse_http_date(headers["date"])
    assert now is not None

    verify(claimed(request), request, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", now=now)


@pytest.mark.parametrize("url", [False, True])
def test_a_changed_request_or_secret_is_refused(url: bool) -> None:
    request = signed(query={"acl": "x"}, headers={"x-amz-acl": "private"}, url=url)

    for forged in (
        request._replace(method="PUT"),
        request._replace(path="/bucket/another"),
        request._replace(query=request.query.replace("acl=x", "acl=y")),
        request._replace(headers={**request.headers, "x-amz-acl": "public-read"}),
        request._replace(headers={**request.headers, "x-amz-storage-class": "GLACIER"}),
        request._replace(headers={**request.headers, "content-type": "text/html"}),
    ):
        assert refusal(forged).code == "SignatureDoesNotMatch"
    error = refusal(request, "another")
    assert error.code == "SignatureDoesNotMatch"
    assert "another" not in str(error.details)


def test_a_request_out_of_its_time_is_refused() -> None:
    assert refusal(signed(), later=901).code == "RequestTimeTooSkewed"
    check(signed(url=True), later=600)
    assert refusal(signed(url=True), later=601).message == "Request has expired"


@pytest.mark.parametrize("authorization", ["AWS", "AWS HAHAHA", "AWS :x", "AWS x:"])
def test_a_malformed_authorization_is_refused(authorization: str) -> None:
    request = SignedRequest("GET", "/", "", {"authorization": authorization, "date": "x"})

    assert refusal(request).code == "InvalidArgument"


def test_a_request_without_a_date_is_refused() -> None:
    request = SignedRequest("GET", "/", "", {"authorization": "AWS key:signature"})

    assert refusal(request).code == "AccessDenied"


@pytest.mark.parametrize(
    "query",
    [
        "AWSAccessKeyId=a&Signature=b",
        "AWSAccessKeyId=a&Expires=1",
        "AWSAccessKeyId=a&Signature=b&Expires=-1",
        "AWSAccessKeyId=a&Signature=b&Expires=" + "9" * 30,
        "AWSAccessKeyId=a&Signature=b&Expires=\u0661",
    ],
)
def test_a_malformed_presigned_url_is_refused(query: str) -> None:
    assert refusal(SignedRequest("GET", "/", query, {})).code == "AccessDenied"


def test_a_chunked_body_is_known_by_its_headers() -> None:
    chunked = {"content-encoding": "aws-chunked", "x-amz-trailer": "x-amz-checksum-crc32"}

    assert claimed(signed()).payload == ""
    assert claimed(signed(headers=chunked)).payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def test_signed_chunks_are_refused() -> None:
    headers = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}

    assert refusal(signed(headers=headers)).code == "InvalidRequest"
