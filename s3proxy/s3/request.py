"""A request as S3 sees it: bucket, key, query, headers. No rules; its body is not read here."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from s3proxy.access import ANONYMOUS, Caller
from s3proxy.s3.errors import S3Error
from s3proxy.s3.operations import UNKNOWN, Operation, Scope
from s3proxy.s3.signature import Seal

Receive = Callable[[], Awaitable[Any]]

MAX_KEY_BYTES: Final = 1024
SIGNATURE_PARAMETERS: Final = frozenset(
    f"x-amz-{name}"
    for name in (
        "algorithm",
        "credential",
        "date",
        "expires",
        "signature",
        "signedheaders",
        "content-sha256",
        "security-token",
    )
)


@dataclass(slots=True)
class Request:
    """`query` has each name's first value; `path` and `raw_query` are as they were sent.

    `host_bucket` is the bucket where the Host header named it, else "".

    `operation`, `caller`, `payload` and `seal` are filled in as the endpoint finds them out,
    `body_asked` and `received` (bytes) as the body is read.
    """

    id: str
    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    query: dict[str, str]
    host_bucket: str
    bucket: str
    key: str
    receive: Receive
    operation: Operation = UNKNOWN
    caller: Caller = ANONYMOUS
    payload: str = ""
    seal: Seal | None = None
    body_asked: bool = False
    received: int = 0

    @property
    def scope(self) -> Scope:
        if self.key:
            return Scope.OBJECT
        return Scope.BUCKET if self.bucket else Scope.SERVICE

    @property
    def resource(self) -> str:
        """What an error is about, as S3's XML names it."""
        return "/" + "/".join(part for part in (self.bucket, self.key) if part)


def parse_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """By lower-case name; a name that comes again adds its value behind a comma (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        text = name.decode("latin-1")
        headers[text] = (
            f"{headers[text]},{value.decode('latin-1')}"
            if text in headers
            else value.decode("latin-1")
        )
    return headers


def parse_query(raw: str) -> dict[str, str]:
    """The first value of each name; a name without a value has "". InvalidURI if not UTF-8."""
    query: dict[str, str] = {}
    if not raw:
        return query
    for pair in raw.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            query.setdefault(decode(name.replace("+", " ")), decode(value.replace("+", " ")))
    return query


def decode(escaped: str) -> str:
    """Undo percent-encoding. InvalidURI where the bytes are not UTF-8."""
    if "%" not in escaped and escaped.isascii():
        return escaped
    try:
        return unquote_to_bytes(escaped).decode()
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI", "A name in the URI is not UTF-8.") from error


def split_path(path: str, host_bucket: str = "") -> tuple[str, str]:
    """Bucket and key of a path-style request, or of one whose host names the bucket already."""
    rest = path.removeprefix("/")
    bucket = host_bucket
    if not bucket:
        bucket, _, rest = rest.partition("/")
        bucket = decode(bucket)
    key = decode(rest)
    if len(key) * 4 > MAX_KEY_BYTES and len(key.encode()) > MAX_KEY_BYTES:
        raise S3Error("KeyTooLongError")
    return bucket, key


def bucket_of_host(host: str, domains: Sequence[str]) -> str:
    """The bucket that stands before one of our domains in the Host header, or ""."""
    if not domains:
        return ""
    name = host.rsplit(":", 1)[0].lower()
    for domain in domains:
        if name.endswith(f".{domain}"):
            return name[: -len(domain) - 1]
    return ""


def text_of(target: bytes) -> str:
    """A request target as text. InvalidURI where it has bytes that must be percent-encoded."""
    try:
        return target.decode("ascii")
    except UnicodeDecodeError as error:
        raise S3Error(
            "InvalidURI", "Bytes above 127 in the URI must be percent-encoded."
        ) from error


def take_hoisted_headers(request: Request) -> None:
    """Treat `x-amz-*` parameters of a presigned URL as the headers that its signer hoisted.

    The signature's own parameters are none, and a header that was sent stands.
    """
    for name, value in request.query.items():
        lower = name.lower()
        if lower.startswith("x-amz-") and lower not in SIGNATURE_PARAMETERS:
            request.headers.setdefault(lower, value)
