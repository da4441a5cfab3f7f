"""Multipart uploads, as the wire has them."""

from collections.abc import Mapping, Sequence
from typing import Final

from backends.errors import UploadNotFound
from backends.model import UNCONDITIONAL, Checksum, ChecksumType, Part, Row, Upload
from s3proxy.gateway.listing import LAST_CHARACTER, Query
from s3proxy.gateway.uploads import Chosen, Whole
from s3proxy.s3 import arguments, checksums, xml
from s3proxy.s3.body import incoming, read_document
from s3proxy.s3.buckets import owner
from s3proxy.s3.conditions import write_condition
from s3proxy.s3.errors import S3Error
from s3proxy.s3.expiration import asked_expiry, expiration
from s3proxy.s3.headers import (
    checksum_headers,
    quoted,
    require_canned_acl,
    storage_class,
    stored_headers,
    stored_metadata,
)
from s3proxy.s3.request import Request
from s3proxy.s3.response import NO_CONTENT, Response, document, iso_date
from s3proxy.s3.services import Services

TOTAL: Final = "x-amz-mp-object-size"


async def create_multipart_upload(services: Services, request: Request) -> Response:
    """CreateMultipartUpload."""
    headers = request.headers
    require_canned_acl(headers)
    algorithm, kind = checksums.upload_checksum(headers)
    upload = await services.uploads.create(
        Upload(
            bucket=request.bucket,
            key=request.key,
            name="",
            token="",
            started=0,
            owner=request.caller.owner,
            headers=stored_headers(headers),
            metadata=stored_metadata(headers),
            storage_class=storage_class(headers),
            algorithm=algorithm,
            kind=kind,
            expires=asked_expiry(services, headers),
        )
    )
    chosen = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind.value}
    body = xml.root("InitiateMultipartUploadResult", _names(upload))
    return document(body, headers=chosen if algorithm else None)


async def upload_part(services: Services, request: Request) -> Response:
    """UploadPart."""
    number = arguments.part_number(request.query)
    upload = await _find(services, request)
    part = await services.uploads.put_part(
        upload, number, incoming(services, request, algorithm=upload.algorithm)
    )
    value = checksum_headers(part.checksum)
    value.pop("x-amz-checksum-type", None)
    return Response(200, {"etag": quoted(part.etag), **value})


async def list_parts(services: Services, request: Request) -> Response:
    """ListParts."""
    marker = arguments.number(request.query, "part-number-marker", 0)
    most = arguments.page_size(request.query, "max-parts")
    upload = await _find(services, request)
    found = await services.uploads.parts(upload, after=marker, limit=most + 1)
    page = found[:most]
    body = (
        _names(upload)
        + owner(upload.owner, "Initiator")
        + owner(upload.owner)
        + xml.element("StorageClass", upload.storage_class)
        + f"<PartNumberMarker>{marker}</PartNumberMarker>"
        + f"<NextPartNumberMarker>{page[-1].number if page else 0}</NextPartNumberMarker>"
        + f"<MaxParts>{most}</MaxParts>"
        + f"<IsTruncated>{'true' if len(found) > most else 'false'}</IsTruncated>"
        + xml.optional("ChecksumAlgorithm", upload.algorithm)
        + (xml.element("ChecksumType", upload.kind.value) if upload.algorithm else "")
        + "".join(_part(part) for part in page)
    )
    return document(xml.root("ListPartsResult", body))


async def list_multipart_uploads(services: Services, request: Request) -> Response:
    """ListMultipartUploads: by key, those of one key by age; with common prefixes."""
    query = request.query
    encode = xml.url_encode if arguments.url_encoding(query) else xml.escape
    key_marker, name_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
    most = arguments.page_size(query, "max-uploads")
    wanted = Query(
        bucket=request.bucket,
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=key_marker,
        limit=most,
    )
    name = (name_marker or LAST_CHARACTER) if key_marker else ""
    page = await services.uploads.page(wanted, name)
    last_key, last_name = page.last
    body = (
        xml.element("Bucket", request.bucket)
        + f"<KeyMarker>{encode(key_marker)}</KeyMarker>"
        + xml.element("UploadIdMarker", name_marker if key_marker else "")
        + (f"<NextKeyMarker>{encode(last_key)}</NextKeyMarker>" if page.truncated else "")
        + (xml.element("NextUploadIdMarker", last_name) if page.truncated else "")
        + f"<Prefix>{encode(query.get('prefix', ''))}</Prefix>"
        + (f"<Delimiter>{encode(query['delimiter'])}</Delimiter>" if query.get("delimiter") else "")
        + ("<EncodingType>url</EncodingType>" if query.get("encoding-type") else "")
        + f"<MaxUploads>{most}</MaxUploads>"
        + f"<IsTruncated>{'true' if page.truncated else 'false'}</IsTruncated>"
        + "".join(
            xml.tag("Upload", f"<Key>{encode(upload.key)}</Key>" + _upload(upload))
            for upload in page.uploads
        )
        + "".join(
            f"<CommonPrefixes><Prefix>{encode(prefix)}</Prefix></CommonPrefixes>"
            for prefix in page.prefixes
        )
    )
    return document(xml.root("ListMultipartUploadsResult", body))


async def abort_multipart_upload(services: Services, request: Request) -> Response:
    """AbortMultipartUpload."""
    await services.uploads.abort(request.bucket, request.key, request.query["uploadId"])
    return Response(NO_CONTENT)


async def complete_multipart_upload(services: Services, request: Request) -> Response:
    """CompleteMultipartUpload; one that comes again gets the same answer again."""
    chosen = _chosen(await read_document(services, request, expect=checksums.requested_of_document))
    name = request.query["uploadId"]
    try:
        upload = await _find(services, request)
    except UploadNotFound:
        row = await services.uploads.completed(request.bucket, request.key, name)
        return _completed(request, row, await expiration(services, row))

    def whole(parts: Sequence[Part]) -> Whole:
        return _whole(upload, parts, request.headers)

    condition = write_condition(request.headers)
    if condition != UNCONDITIONAL and services.replication:
        await services.replication.require_decision(request.bucket)
    row = await services.uploads.complete(upload, chosen, whole, request.id, condition=condition)
    return _completed(request, row, await expiration(services, row))


async def _find(services: Services, request: Request) -> Upload:
    return await services.uploads.find(request.bucket, request.key, request.query["uploadId"])


def _whole(upload: Upload, parts: Sequence[Part], headers: Mapping[str, str]) -> Whole:
    """ETag and checksum of the joined parts, refused where the request announced others."""
    total = sum(part.size for part in parts)
    if arguments.number(headers, TOTAL, total) != total:
        raise S3Error("InvalidRequest", f"The parts have {total} bytes, not {headers[TOTAL]}.")
    checksum = _joined_checksum(upload, parts)
    checksums.require_whole(headers, checksum)
    return Whole(checksums.multipart_etag([part.etag for part in parts]), checksum)


def _joined_checksum(upload: Upload, parts: Sequence[Part]) -> Checksum | None:
    values = [part.checksum.value for part in parts if part.checksum]
    if not upload.algorithm or len(values) < len(parts):
        return None
    if upload.kind is ChecksumType.COMPOSITE:
        value = checksums.composite(upload.algorithm, values)
    else:
        sizes = [part.size for part in parts]
        value = checksums.combined(upload.algorithm, list(zip(values, sizes, strict=True)))
    return Checksum(upload.algorithm, value, upload.kind)


def _chosen(body: bytes) -> list[Chosen]:
    """The parts a CompleteMultipartUpload document names; MalformedXML."""
    parts = xml.parse(body, "CompleteMultipartUpload", many=["Part"]).get("Part", [])
    if not parts or len(parts) > arguments.MAX_PARTS:
        raise S3Error("MalformedXML", f"Name 1 to {arguments.MAX_PARTS} parts.")
    return [_choice(part) for part in parts]


def _choice(part: xml.Element | str | None) -> Chosen:
    if not isinstance(part, dict):
        raise S3Error("MalformedXML", "A <Part> holds a PartNumber and an ETag.")
    etag = xml.text_in(part, "ETag").strip().strip('"')
    number = {"PartNumber": xml.text_in(part, "PartNumber").strip()}
    if not etag or not number["PartNumber"]:
        raise S3Error("MalformedXML", "A <Part> holds a PartNumber and an ETag.")
    checksum = "".join(xml.text_in(part, f"Checksum{name}") for name in checksums.ALGORITHMS)
    return Chosen(arguments.part_number(number, "PartNumber"), etag, checksum)


def _completed(request: Request, row: Row, told: dict[str, str]) -> Response:
    checksum = row.facts.checksum
    body = (
        xml.element("Location", f"http://{request.headers.get('host', '')}{request.path}")
        + xml.element("Bucket", row.bucket)
        + xml.element("Key", row.key)
        + xml.element("ETag", quoted(row.facts.etag))
    )
    if checksum:
        body += xml.element(f"Checksum{checksum.algorithm}", checksum.value)
        body += xml.element("ChecksumType", checksum.kind.value)
    return document(xml.root("CompleteMultipartUploadResult", body), headers=told)


def _names(upload: Upload) -> str:
    return (
        xml.element("Bucket", upload.bucket)
        + xml.element("Key", upload.key)
        + xml.element("UploadId", upload.name)
    )


def _part(part: Part) -> str:
    checksum = part.checksum
    return xml.tag(
        "Part",
        f"<PartNumber>{part.number}</PartNumber>"
        + xml.element("LastModified", iso_date(part.modified))
        + xml.element("ETag", quoted(part.etag))
        + (xml.element(f"Checksum{checksum.algorithm}", checksum.value) if checksum else "")
        + f"<Size>{part.size}</Size>",
    )


def _upload(upload: Upload) -> str:
    return (
        xml.element("UploadId", upload.name)
        + owner(upload.owner, "Initiator")
        + owner(upload.owner)
        + xml.element("StorageClass", upload.storage_class)
        + xml.element("Initiated", iso_date(upload.started))
        + xml.optional("ChecksumAlgorithm", upload.algorithm)
        + (xml.element("ChecksumType", upload.kind.value) if upload.algorithm else "")
    )
