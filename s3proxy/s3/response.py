"""An answer, as bytes that are ready to be sent."""

import base64
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from s3proxy.s3 import xml
from s3proxy.s3.errors import S3Error

XML: Final = "application/xml"
HOST_ID: Final = base64.b64encode(b"clone-cloud-store").decode()
NO_CONTENT: Final = 204
REMEMBERED: Final = 4096


@dataclass(slots=True)
class Response:
    """`body` is whole, or a stream whose length the headers tell."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncGenerator[bytes, None] = b""


def document(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An XML answer; `body` is the document without its declaration."""
    return Response(status, {"content-type": XML, **(headers or {})}, xml.encode(body))


def failure(error: S3Error, resource: str, request_id: str) -> Response:
    """The answer that tells an error."""
    if error.code == "NotModified":
        return Response(error.status, dict(error.headers))
    headers = {"content-type": XML, **error.headers}
    return Response(error.status, headers, error_document(error, resource, request_id))


def error_document(error: S3Error, resource: str, request_id: str) -> bytes:
    """An error in XML (S3 API, REST error responses)."""
    fields = {
        "Code": error.code,
        "Message": error.message,
        "Resource": resource,
        **error.details,
        "RequestId": request_id,
        "HostId": HOST_ID,
    }
    return xml.encode(
        xml.tag(
            "Error",
            "".join(xml.element(name, xml.printable(text)) for name, text in fields.items()),
        )
    )


def http_date(milliseconds: int) -> str:
    """As Last-Modified has it (RFC 9110, 5.6.7)."""
    return _http_date(milliseconds // 1000)


@lru_cache(maxsize=REMEMBERED)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def iso_date(milliseconds: int) -> str:
    """As S3's XML has it."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_iso_seconds(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=REMEMBERED)
def _iso_seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
