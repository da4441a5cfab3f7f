"""ListObjects, ListObjectsV2 and ListObjectVersions, as the wire has them."""

from collections.abc import Callable, Mapping
from typing import Final

from backends.model import COUNTER_BITS, Entry
from s3proxy.gateway.listing import Page, Query
from s3proxy.s3 import arguments, xml
from s3proxy.s3.buckets import owner
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response, document, iso_date
from s3proxy.s3.services import Services

V2: Final = "2"
Encode = Callable[[str], str]


async def list_objects(services: Services, request: Request) -> Response:
    """ListObjects, version 1. Its Prefix is never URL-encoded: no SDK would decode it."""
    query = request.query
    marker = query.get("marker", "")
    page, encode = await _page(services, request, marker)
    following = encode(page.last) if page.truncated and query.get("delimiter") else ""
    return _result(
        request,
        page,
        encode,
        xml.element("Prefix", query.get("prefix", ""))
        + f"<Marker>{encode(marker)}</Marker>"
        + (f"<NextMarker>{following}</NextMarker>" if following else ""),
        with_owner=True,
    )


async def list_objects_v2(services: Services, request: Request) -> Response:
    """ListObjects, version 2. A token stands for the last name of its page."""
    query = request.query
    if query["list-type"] != V2:
        raise S3Error("InvalidArgument", "list-type must be 2.")
    token, start_after = query.get("continuation-token", ""), query.get("start-after", "")
    page, encode = await _page(
        services, request, arguments.from_token(token) if token else start_after
    )
    following = arguments.to_token(page.last) if page.truncated else ""
    return _result(
        request,
        page,
        encode,
        f"<Prefix>{encode(query.get('prefix', ''))}</Prefix><KeyCount>{len(page)}</KeyCount>"
        + (xml.element("ContinuationToken", token) if "continuation-token" in query else "")
        + (f"<NextContinuationToken>{following}</NextContinuationToken>" if following else "")
        + (f"<StartAfter>{encode(start_after)}</StartAfter>" if start_after else ""),
        with_owner=query.get("fetch-owner", "") == "true",
    )


async def list_object_versions(services: Services, request: Request) -> Response:
    """ListObjectVersions: each object is its key's only version, which S3 calls "null"."""
    query = request.query
    key_marker, version_marker = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version_marker and not key_marker:
        raise S3Error("InvalidArgument", "A version-id marker needs a key marker.")
    page, encode = await _page(services, request, key_marker)
    following = encode(page.last) if page.truncated else ""
    body = (
        f"<Name>{request.bucket}</Name><Prefix>{encode(query.get('prefix', ''))}</Prefix>"
        f"<KeyMarker>{encode(key_marker)}</KeyMarker>"
        f"<VersionIdMarker>{xml.escape(version_marker)}</VersionIdMarker>"
        + (f"<NextKeyMarker>{following}</NextKeyMarker>" if following else "")
        + ("<NextVersionIdMarker>null</NextVersionIdMarker>" if following else "")
        + _settings(query, page, encode)
        + "".join(
            f"<Version>{_entry(entry, encode, with_owner=True)}"
            "<VersionId>null</VersionId><IsLatest>true</IsLatest></Version>"
            for entry in page.entries
        )
        + _prefixes(page, encode)
    )
    return document(xml.root("ListVersionsResult", body))


async def _page(services: Services, request: Request, after: str) -> tuple[Page, Encode]:
    query = request.query
    encode = xml.url_encode if arguments.url_encoding(query) else xml.escape
    page = await services.listing.page(
        Query(
            bucket=request.bucket,
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            after=after,
            limit=arguments.page_size(query, "max-keys"),
        )
    )
    return page, encode


def _result(
    request: Request, page: Page, encode: Encode, places: str, *, with_owner: bool
) -> Response:
    body = (
        f"<Name>{request.bucket}</Name>"
        + places
        + _settings(request.query, page, encode)
        + "".join(
            f"<Contents>{_entry(entry, encode, with_owner=with_owner)}</Contents>"
            for entry in page.entries
        )
        + _prefixes(page, encode)
    )
    return document(xml.root("ListBucketResult", body))


def _settings(query: Mapping[str, str], page: Page, encode: Encode) -> str:
    delimiter = query.get("delimiter", "")
    return (
        f"<MaxKeys>{arguments.number(query, 'max-keys', arguments.MAX_PAGE)}</MaxKeys>"
        + (f"<Delimiter>{encode(delimiter)}</Delimiter>" if delimiter else "")
        + ("<EncodingType>url</EncodingType>" if query.get("encoding-type") else "")
        + f"<IsTruncated>{'true' if page.truncated else 'false'}</IsTruncated>"
    )


def _entry(entry: Entry, encode: Encode, *, with_owner: bool) -> str:
    key, stamp, size, etag, client, storage_class, algorithm, kind = entry
    checksum = (
        f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm><ChecksumType>{kind}</ChecksumType>"
        if algorithm
        else ""
    )
    return (
        f"<Key>{encode(key)}</Key><LastModified>{iso_date(stamp >> COUNTER_BITS)}</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag>{checksum}<Size>{size}</Size>"
        f"{owner(client) if with_owner else ''}<StorageClass>{storage_class}</StorageClass>"
    )


def _prefixes(page: Page, encode: Encode) -> str:
    return "".join(
        f"<CommonPrefixes><Prefix>{encode(prefix)}</Prefix></CommonPrefixes>"
        for prefix in page.prefixes
    )
