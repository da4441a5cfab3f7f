"""Objects and documents of other sites: applied here, and read from here."""

from backends.errors import NotFound, Refused
from backends.model import Facts, Row
from replication.documents import SHARED, SYSTEM
from replication.messages import (
    CONDITION_HEADER,
    FACTS,
    FACTS_HEADER,
    VERSION_HEADER,
    condition_from,
    from_header,
    version_from,
)
from s3proxy.gateway.incoming import Incoming
from s3proxy.s3.ranges import parse_range
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.sites.bodies import incoming
from s3proxy.sites.facts import answer, applied, found
from s3proxy.sites.owners import require_same_owner
from s3proxy.sites.services import SiteServices

PARTIAL = 206


async def put(services: SiteServices, request: Request) -> Response:
    """An object whole, or a document, under the version it has where it comes from."""
    facts = from_header(request.headers.get(FACTS_HEADER, ""))
    if request.bucket in SYSTEM:
        return applied(await _put_document(services, request, facts))
    await require_same_owner(services, request)
    body = incoming(services, request)
    if CONDITION_HEADER in request.headers:
        return await _put_if(services, request, body, facts)
    return applied(await services.replicas.put(request.bucket, request.key, body, facts))


async def delete(services: SiteServices, request: Request) -> Response:
    """A tombstone."""
    bucket, key = request.bucket, request.key
    if CONDITION_HEADER in request.headers and bucket not in SYSTEM:
        return await _delete_if(services, request)
    version = version_from(request.headers.get(VERSION_HEADER, ""))
    if bucket not in SYSTEM:
        await require_same_owner(services, request)
        return applied(await services.replicas.delete(bucket, key, version))
    _require_shared(bucket)
    return applied(await services.documents.delete(key, version))


async def get(services: SiteServices, request: Request) -> Response:
    """What is known of a key, or the bytes of the version that is asked for."""
    if FACTS in request.query:
        return await found(services, request)
    version = version_from(request.headers.get(VERSION_HEADER, ""))
    row = await services.state.find(request.bucket, request.key)
    if row.version != version:
        raise NotFound(f"{request.bucket}/{request.key} is {row.version} here, not {version}")
    return await _bytes_of(services, request, row)


async def _put_if(
    services: SiteServices, request: Request, body: Incoming, facts: Facts
) -> Response:
    """As a client would, if a condition holds: this site is the bucket's home."""
    condition = condition_from(request.headers[CONDITION_HEADER])
    row = await services.objects.put(
        request.bucket, request.key, body, facts, request.id, condition=condition
    )
    return answer(row.facts)


async def _delete_if(services: SiteServices, request: Request) -> Response:
    await require_same_owner(services, request)
    condition = condition_from(request.headers[CONDITION_HEADER])
    await services.objects.delete(request.bucket, request.key, request.id, condition=condition)
    return applied(done=True)


async def _bytes_of(services: SiteServices, request: Request, row: Row) -> Response:
    size = row.facts.size
    span = parse_range(request.headers.get("range", ""), size)
    if span is None:
        body = await services.store.get(row.bucket, row.key, row.locator)
        return Response(200, {"content-length": str(size)}, body)
    body = await services.store.get(
        row.bucket, row.key, row.locator, start=span.start, length=span.length
    )
    return Response(PARTIAL, {"content-length": str(span.length)}, body)


async def _put_document(services: SiteServices, request: Request, facts: Facts) -> bool:
    _require_shared(request.bucket)
    return await services.documents.put(request.key, facts)


def _require_shared(bucket: str) -> None:
    if bucket != SHARED:
        raise Refused(f"{bucket} is each site's own")
