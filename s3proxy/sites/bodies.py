"""Bodies that other sites send: as they are, or compressed."""

from replication.compression import ZSTD, unpacked
from replication.messages import DECODED_LENGTH_HEADER, ENCODING_HEADER
from s3proxy.s3 import body
from s3proxy.s3.body import MAX_BODY, Body, received
from s3proxy.s3.checksums import Digests, requested
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request
from s3proxy.sites.services import SiteServices

UNSIGNED = "UNSIGNED-PAYLOAD"


def incoming(services: SiteServices, request: Request) -> Body:
    """The body of a request; its digests are those of the bytes before they were compressed."""
    encoding = request.headers.get(ENCODING_HEADER, "")
    if not encoding:
        return body.incoming(services, request)
    if encoding != ZSTD:
        raise S3Error("NotImplemented", f"This site knows no {ENCODING_HEADER} but {ZSTD}.")
    if request.payload != UNSIGNED:
        raise S3Error("InvalidRequest", "The signature of a compressed body leaves it out.")
    size = _announced(request.headers.get(DECODED_LENGTH_HEADER, ""))
    pieces = unpacked(received(request, services.body_timeout), size)
    return Body(pieces, Digests(requested(request.headers)), size=size)


def _announced(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_BODY)):
        raise S3Error("InvalidArgument", f"{DECODED_LENGTH_HEADER} must be a number of bytes.")
    return int(text)
