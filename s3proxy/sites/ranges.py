"""What ranges of keys amount to here, and their rows: for a site that compares."""

from collections.abc import Sequence
from typing import Any, TypeVar

from backends.errors import Refused
from backends.model import KeyRange
from replication.documents import OWN
from replication.messages import DIGESTS, ROWS, Digests, DigestsWanted, RowsWanted
from replication.packing import packed, text_of, value_of
from replication.ranges import MOST_RANGES, MOST_ROWS, digests_in, rows_in
from s3proxy.s3.body import MAX_DOCUMENT, read_document
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.sites.facts import JSON
from s3proxy.sites.services import SiteServices

T = TypeVar("T")


async def answer(services: SiteServices, request: Request) -> Response:
    """POST /-?digests=BUCKET, or rows=BUCKET: many ranges at once."""
    if DIGESTS in request.query:
        return await _digests(services, request, _shared(request.query[DIGESTS]))
    if ROWS in request.query:
        return await _rows(services, request, _shared(request.query[ROWS]))
    raise S3Error("NotImplemented", f"Sites are asked for {DIGESTS} or {ROWS} of a bucket.")


async def _digests(services: SiteServices, request: Request, bucket: str) -> Response:
    wanted = await _wanted(services, request, DigestsWanted)
    _require_few(wanted.ranges)
    found = await digests_in(
        services.state,
        bucket,
        wanted.ranges,
        before=wanted.before,
        buried_since=wanted.buried_since,
    )
    return await _told(Digests(tuple(found)))


async def _rows(services: SiteServices, request: Request, bucket: str) -> Response:
    wanted = await _wanted(services, request, RowsWanted)
    _require_few(wanted.ranges)
    if wanted.limit < 1:
        raise Refused(f"a page of {wanted.limit} rows has none")
    limit = min(wanted.limit, MOST_ROWS)
    return await _told(await rows_in(services.state, bucket, wanted.ranges, limit=limit))


async def _wanted(services: SiteServices, request: Request, kind: type[T]) -> T:
    body = await read_document(services, request)
    return value_of(text_of(body, request.headers, longest=MAX_DOCUMENT), kind)


async def _told(value: Any) -> Response:
    body, headers = await packed(value)
    return Response(200, {"content-type": JSON, **headers}, body)


def _shared(bucket: str) -> str:
    if bucket == OWN:
        raise Refused(f"{OWN} is this site's own")
    return bucket


def _require_few(ranges: Sequence[KeyRange]) -> None:
    if len(ranges) > MOST_RANGES:
        raise Refused(f"{len(ranges)} ranges at once are more than {MOST_RANGES}")
