"""PutObject, GetObject, HeadObject, DeleteObject and GetObjectAttributes, as the wire has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backends.errors import Corrupt
from backends.model import UNCONDITIONAL, Checksum, Facts, ObjectPart, Row, Version
from backends.storage.pieces import Whole
from s3proxy.gateway.objects import Reading, Span
from s3proxy.s3 import arguments, xml
from s3proxy.s3.body import incoming
from s3proxy.s3.buckets import acl
from s3proxy.s3.conditions import evaluate_read, write_condition
from s3proxy.s3.errors import S3Error
from s3proxy.s3.expiration import asked_expiry, expiration
from s3proxy.s3.headers import (
    CONTROL,
    OVERRIDES,
    checksum_headers,
    quoted,
    require_canned_acl,
    shown,
    storage_class,
    stored_headers,
    stored_metadata,
)
from s3proxy.s3.ranges import parse_range
from s3proxy.s3.request import Request
from s3proxy.s3.response import NO_CONTENT, Response, document, http_date
from s3proxy.s3.services import Services
from s3proxy.s3.verified import CHANGED, require_right, verified

PARTIAL: Final = 206
REPLICATION: Final = "x-amz-replication-status"
CHOOSING: Final = frozenset(
    {"range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}
)
NARROWING: Final = {"partNumber", *OVERRIDES}
UNVERSIONED: Final = Version(0, "")
ATTRIBUTES: Final = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Which bytes of a row an answer holds, and what it says of them."""

    span: Span | None
    status: int
    headers: dict[str, str]


async def put_object(services: Services, request: Request) -> Response:
    """PutObject."""
    headers = request.headers
    require_canned_acl(headers)
    facts = Facts(
        version=UNVERSIONED,
        owner=request.caller.owner,
        headers=stored_headers(headers),
        metadata=stored_metadata(headers),
        storage_class=storage_class(headers),
        expires=asked_expiry(services, headers),
    )
    row = await services.objects.put(
        request.bucket,
        request.key,
        incoming(services, request, checked_up_to=services.objects.checked_up_to),
        facts,
        request.id,
        condition=write_condition(headers),
    )
    told = checksum_headers(row.facts.checksum) | await expiration(services, row)
    return Response(200, {"etag": quoted(row.facts.etag), **told})


async def get_object(services: Services, request: Request) -> Response:
    """GetObject; what it streams closes with the answer."""
    arguments.require_no_version(request.query)
    pieces: list[Piece] = []

    def decide(row: Row) -> Span | None:
        pieces.append(choose(request, row))
        return pieces[-1].span

    reading = await services.objects.read(
        request.bucket, request.key, decide, whole=_asks_for_all(request)
    )
    piece = pieces[-1]
    body = reading.body
    headers = piece.headers | await _told(services, reading.row)
    if isinstance(body, Whole):
        return Response(piece.status, headers, _at_hand(services, request, reading, body))
    if reading.span is None and any(services.checks):
        body = verified(body, reading.row.facts, request.resource, services.checks)
    return Response(piece.status, headers, body)


def _at_hand(services: Services, request: Request, reading: Reading, body: Whole) -> bytes:
    """The bytes of a small answer, checked before any of it leaves. Corrupt."""
    facts, span = reading.row.facts, reading.span
    if span is None:
        require_right(body.data, facts, request.resource, services.checks)
    elif len(body.data) != span.length:
        raise Corrupt(f"{request.resource}: {CHANGED}")
    return body.data


async def head_object(services: Services, request: Request) -> Response:
    """HeadObject: state alone answers."""
    arguments.require_no_version(request.query)
    row = await services.objects.find(request.bucket, request.key)
    piece = choose(request, row)
    return Response(piece.status, piece.headers | await _told(services, row))


async def _told(services: Services, row: Row) -> dict[str, str]:
    """What is known beside the row: how far it has come to other sites, when it ends."""
    status = await services.replication.status(row) if services.replication else ""
    replicated = {REPLICATION: status} if status else {}
    return replicated | await expiration(services, row)


async def delete_object(services: Services, request: Request) -> Response:
    """DeleteObject; a key that holds nothing is no error."""
    arguments.require_no_version(request.query)
    condition = write_condition(request.headers) if "if-match" in request.headers else UNCONDITIONAL
    await services.objects.delete(request.bucket, request.key, request.id, condition=condition)
    return Response(NO_CONTENT)


async def get_object_acl(services: Services, request: Request) -> Response:
    """GetObjectAcl: the owner has full control, and no one else anything."""
    row = await services.objects.find(request.bucket, request.key)
    return document(acl(row.facts.owner))


async def get_object_attributes(services: Services, request: Request) -> Response:
    """GetObjectAttributes: what x-amz-object-attributes names, parts by page."""
    arguments.require_no_version(request.query)
    wanted = _wanted_attributes(request.headers)
    row = await services.objects.find(request.bucket, request.key)
    _check_conditions(request, row)
    facts = row.facts
    content = {
        "ETag": xml.element("ETag", facts.etag),
        "Checksum": _checksum(facts.checksum),
        "ObjectParts": _parts(facts, request.headers) if facts.parts else "",
        "StorageClass": xml.element("StorageClass", facts.storage_class),
        "ObjectSize": f"<ObjectSize>{facts.size}</ObjectSize>",
    }
    body = "".join(text for name, text in content.items() if name in wanted)
    return document(
        xml.root("GetObjectAttributesResponse", body),
        headers={"last-modified": http_date(facts.modified)},
    )


def choose(request: Request, row: Row) -> Piece:
    """What a GET or HEAD gets of this row: conditions first, then a part or a range."""
    _check_conditions(request, row)
    facts = row.facts
    headers = shown(facts)
    headers |= _overrides(request.query)
    if "partNumber" in request.query:
        return _part_piece(request, facts, headers)
    span = parse_range(request.headers.get("range", ""), facts.size)
    if span is None:
        headers.update(_asked_checksum(request, facts.checksum))
        headers["content-length"] = str(facts.size)
        return Piece(None, 200, headers)
    return _partial(Span(*span), facts, headers)


def _asks_for_all(request: Request) -> bool:
    """Whether `choose` picks all of any row and raises nothing."""
    query = request.query
    return CHOOSING.isdisjoint(request.headers) and (not query or NARROWING.isdisjoint(query))


def _overrides(query: Mapping[str, str]) -> dict[str, str]:
    """Headers that the request wants in its answer. InvalidArgument for what can be none."""
    chosen = {name: query[asked] for asked, name in OVERRIDES.items() if asked in query}
    if any(map(CONTROL.search, chosen.values())):
        raise S3Error("InvalidArgument", "A header of an answer cannot have control characters.")
    return chosen


def _part_piece(request: Request, facts: Facts, headers: dict[str, str]) -> Piece:
    """One part, as 206; an object that was put whole is its own part 1."""
    if "range" in request.headers:
        raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber.")
    number = arguments.part_number(request.query)
    parts = facts.parts or (ObjectPart(1, facts.size, ""),)
    start = 0
    for part in parts:
        if part.number == number:
            break
        start += part.size
    else:
        raise S3Error("InvalidPartNumber", f"The object has no part {number}.")
    if facts.parts:
        headers["x-amz-mp-parts-count"] = str(len(parts))
    checksum = facts.checksum
    if checksum and part.checksum:
        checksum = Checksum(checksum.algorithm, part.checksum, checksum.kind)
    headers.update(_asked_checksum(request, checksum))
    if not facts.size:
        headers["content-length"] = "0"
        return Piece(None, 200, headers)
    return _partial(Span(start, part.size), facts, headers)


def _partial(span: Span, facts: Facts, headers: dict[str, str]) -> Piece:
    headers["content-length"] = str(span.length)
    headers["content-range"] = f"bytes {span.start}-{span.start + span.length - 1}/{facts.size}"
    return Piece(span, PARTIAL, headers)


def _asked_checksum(request: Request, checksum: Checksum | None) -> dict[str, str]:
    if request.headers.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        return {}
    return checksum_headers(checksum)


def _check_conditions(request: Request, row: Row) -> None:
    """Raise NotModified or PreconditionFailed; the former says what the caller has already."""
    facts = row.facts
    try:
        evaluate_read(request.headers, facts.etag, facts.modified)
    except S3Error as error:
        error.headers = {"etag": quoted(facts.etag), "last-modified": http_date(facts.modified)}
        raise


def _wanted_attributes(headers: Mapping[str, str]) -> set[str]:
    names = headers.get("x-amz-object-attributes", "").split(",")
    wanted = {name.strip() for name in names} - {""}
    if not wanted or not wanted <= ATTRIBUTES:
        raise S3Error("InvalidArgument", "Invalid attribute name specified.")
    return wanted


def _checksum(checksum: Checksum | None) -> str:
    if checksum is None:
        return ""
    return xml.tag(
        "Checksum",
        xml.element(f"Checksum{checksum.algorithm}", checksum.value)
        + xml.element("ChecksumType", checksum.kind.value),
    )


def _parts(facts: Facts, headers: Mapping[str, str]) -> str:
    marker = arguments.number(headers, "x-amz-part-number-marker", 0)
    most = arguments.page_size(headers, "x-amz-max-parts")
    following = [part for part in facts.parts if part.number > marker]
    page = following[:most]
    algorithm = facts.checksum.algorithm if facts.checksum else ""
    return xml.tag(
        "ObjectParts",
        f"<PartsCount>{len(facts.parts)}</PartsCount>"
        f"<PartNumberMarker>{marker}</PartNumberMarker>"
        f"<NextPartNumberMarker>{page[-1].number if page else 0}</NextPartNumberMarker>"
        f"<MaxParts>{most}</MaxParts>"
        f"<IsTruncated>{'true' if len(following) > len(page) else 'false'}</IsTruncated>"
        + "".join(_part(part, algorithm) for part in page),
    )


def _part(part: ObjectPart, algorithm: str) -> str:
    checksum = xml.optional(f"Checksum{algorithm}", part.checksum) if algorithm else ""
    return f"<Part>{checksum}<PartNumber>{part.number}</PartNumber><Size>{part.size}</Size></Part>"
