"""CopyObject and UploadPartCopy, as the wire has them."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, NamedTuple

from msgspec.structs import replace

from backends.model import Checksum, Facts, Row
from s3proxy.access import Right
from s3proxy.gateway.objects import Span
from s3proxy.s3 import arguments, checksums, xml
from s3proxy.s3.body import rehashed
from s3proxy.s3.conditions import evaluate_copy, write_condition
from s3proxy.s3.errors import S3Error
from s3proxy.s3.expiration import ASKED, asked_expiry, expiration
from s3proxy.s3.headers import (
    quoted,
    require_canned_acl,
    storage_class,
    stored_headers,
    stored_metadata,
)
from s3proxy.s3.operations import COPY_SOURCE
from s3proxy.s3.ranges import parse_copy_range
from s3proxy.s3.request import Request, parse_query, split_path
from s3proxy.s3.response import Response, document, iso_date
from s3proxy.s3.services import Services

MAX_COPY: Final = 5 * 1024**3
CHANGES: Final = {"x-amz-storage-class", "x-amz-website-redirect-location", ASKED}
DIRECTIVE: Final = "x-amz-metadata-directive"
RANGE: Final = "x-amz-copy-source-range"


class Place(NamedTuple):
    """Where a copy comes from."""

    bucket: str
    key: str


async def copy_object(services: Services, request: Request) -> Response:
    """CopyObject, by the storage itself unless the copy wants another checksum."""
    require_canned_acl(request.headers)
    place = await _source(services, request)
    algorithm = checksums.copy_algorithm(request.headers)
    expires = asked_expiry(services, request.headers)
    row = await services.objects.find(*place)
    if algorithm and (row.facts.checksum is None or row.facts.checksum.algorithm != algorithm):
        copied = await _rehash(services, request, place, algorithm, expires)
    else:
        copied = await services.objects.copy(
            place,
            request.bucket,
            request.key,
            lambda row: _copied_facts(request, row, expires),
            request.id,
            condition=write_condition(request.headers),
        )
    facts = copied.facts
    told = await expiration(services, copied)
    return _result("CopyObjectResult", facts.etag, facts.modified, facts.checksum, told)


async def _rehash(
    services: Services, request: Request, place: Place, algorithm: str, expires: int
) -> Row:
    """Copy through this process, because the copy's checksum has to be computed."""
    drafts: list[Facts] = []

    def decide(row: Row) -> None:
        drafts.append(replace(_copied_facts(request, row, expires), parts=()))

    reading = await services.objects.read(*place, decide)
    async with aclosing(reading.body) as pieces:
        return await services.objects.put(
            request.bucket,
            request.key,
            rehashed(pieces, reading.row.facts.size, algorithm),
            drafts[-1],
            request.id,
            condition=write_condition(request.headers),
        )


async def upload_part_copy(services: Services, request: Request) -> Response:
    """UploadPartCopy: the bytes are read once more, because a part has an ETag of its own."""
    number = arguments.part_number(request.query)
    place = await _source(services, request)
    upload = await services.uploads.find(request.bucket, request.key, request.query["uploadId"])
    spans: list[Span] = []

    def decide(row: Row) -> Span | None:
        evaluate_copy(request.headers, row.facts.etag, row.facts.modified)
        spans.append(_span(request, row.facts.size))
        return spans[-1]

    reading = await services.objects.read(*place, decide)
    async with aclosing(reading.body) as pieces:
        body = rehashed(pieces, spans[-1].length, upload.algorithm)
        part = await services.uploads.put_part(upload, number, body)
    return _result("CopyPartResult", part.etag, part.modified, part.checksum)


async def _source(services: Services, request: Request) -> Place:
    """Where the copy comes from, if the caller may read it there."""
    path, _, query = request.headers[COPY_SOURCE].partition("?")
    arguments.require_no_version(parse_query(query))
    bucket, key = split_path(path.replace("+", " "))
    if not bucket or not key:
        raise S3Error("InvalidArgument", f"{COPY_SOURCE} must be bucket/key, percent-encoded.")
    found = await services.buckets.find(bucket)
    services.access.require(request.caller, Right.READ, found)
    return Place(bucket, key)


def _copied_facts(request: Request, row: Row, expires: int) -> Facts:
    """The source's facts under the directive; InvalidRequest where a self-copy changes nothing.

    When the source expires is not copied: the copy does when its own request says so.
    """
    headers = request.headers
    evaluate_copy(headers, row.facts.etag, row.facts.modified)
    if row.facts.size > MAX_COPY:
        raise S3Error("InvalidRequest", f"The copy source is larger than {MAX_COPY} bytes.")
    directive = headers.get(DIRECTIVE, "COPY")
    if directive not in {"COPY", "REPLACE"}:
        raise S3Error("InvalidArgument", f"Unknown metadata directive {directive[:40]!r}.")
    changes = headers.keys() & CHANGES
    itself = (row.bucket, row.key) == (request.bucket, request.key)
    if itself and directive == "COPY" and not changes:
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata, storage class or redirect location.",
        )
    facts = replace(
        row.facts,
        owner=request.caller.owner,
        storage_class=storage_class(headers),
        upload="",
        expires=expires,
    )
    if directive == "COPY":
        return facts
    return replace(facts, headers=stored_headers(headers), metadata=stored_metadata(headers))


def _span(request: Request, size: int) -> Span:
    if RANGE not in request.headers:
        return Span(0, size)
    return Span(*parse_copy_range(request.headers[RANGE], size))


def _result(
    name: str,
    etag: str,
    modified: int,
    checksum: Checksum | None,
    told: Mapping[str, str] | None = None,
) -> Response:
    body = xml.element("LastModified", iso_date(modified)) + xml.element("ETag", quoted(etag))
    if checksum:
        body += xml.element(f"Checksum{checksum.algorithm}", checksum.value)
        body += xml.element("ChecksumType", checksum.kind.value)
    return document(xml.root(name, body), headers=told)
