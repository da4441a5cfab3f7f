"""Requests signed by botocore, as they arrive at a server."""

from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3proxy.s3.signature import Claim, SignedRequest, claim

ACCESS_KEY, SECRET, REGION = "access/key", "a secret", "eu-central-1"
SIGNER = Credentials(ACCESS_KEY, SECRET)
HOST = "s3.example.org:7070"


def url_of(key: str, query: list[tuple[str, str]]) -> str:
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    return f"http://{HOST}/bucket/{quote(key, safe='/~')}" + (f"?{pairs}" if pairs else "")


def sent(request: AWSRequest) -> SignedRequest:
    """The request as it arrives: lower-case names, UTF-8 bytes read as Latin-1."""
    url = urlsplit(str(request.url))
    headers = {
        name.lower(): str(value).encode().decode("latin-1")
        for name, value in request.headers.items()
    }
    return SignedRequest(str(request.method), url.path, url.query, {"host": HOST, **headers})


def signed(
    method: str = "GET",
    key: str = "key",
    query: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> SignedRequest:
    request = AWSRequest(method, url_of(key, query or []), headers or {}, body)
    S3SigV4Auth(SIGNER, "s3", REGION).add_auth(request)
    return sent(request)


def presigned(
    method: str = "GET",
    key: str = "key",
    query: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    expires: int = 600,
) -> SignedRequest:
    request = AWSRequest(method, url_of(key, query or []), headers or {})
    S3SigV4QueryAuth(SIGNER, "s3", REGION, expires=expires).add_auth(request)
    return sent(request)


def claimed(request: SignedRequest) -> Claim:
    found = claim(request)
    assert found is not None
    return found


def with_header(request: SignedRequest, name: str, value: str) -> SignedRequest:
    return request._replace(headers={**request.headers, name: value})
