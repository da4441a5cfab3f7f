"""Objects that come in parts, so that a broken transfer goes on where it was."""

from typing import TypeVar

from msgspec import MsgspecError, json

from backends.errors import Refused
from backends.model import Facts
from replication.messages import Completion, Offer, PartMark, version_from
from s3proxy.gateway.uploads import Chosen
from s3proxy.s3.arguments import part_number
from s3proxy.s3.body import read_document
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.sites.bodies import incoming
from s3proxy.sites.facts import answer, applied
from s3proxy.sites.owners import require_same_owner
from s3proxy.sites.services import SiteServices

T = TypeVar("T")


async def begin(services: SiteServices, request: Request) -> Response:
    """Which parts are here already, if the object is wanted at all."""
    await require_same_owner(services, request)
    facts = _decoded(await read_document(services, request), Facts)
    parts = await services.replicas.begin(request.bucket, request.key, facts)
    if parts is None:
        return answer(Offer(wanted=False))
    marks = [PartMark(part.number, part.size, part.etag) for part in parts]
    return answer(Offer(wanted=True, parts=tuple(marks)))


async def put(services: SiteServices, request: Request) -> Response:
    """One part."""
    version = version_from(request.query["uploadId"])
    number = part_number(request.query)
    body = incoming(services, request)
    part = await services.replicas.put_part(request.bucket, request.key, version, number, body)
    return answer(PartMark(part.number, part.size, part.etag))


async def complete(services: SiteServices, request: Request) -> Response:
    """All of them, as one object."""
    done = _decoded(await read_document(services, request), Completion)
    chosen = [Chosen(mark.number, mark.etag) for mark in done.parts]
    return applied(
        await services.replicas.complete(request.bucket, request.key, done.facts, chosen)
    )


def _decoded(text: bytes, kind: type[T]) -> T:
    try:
        return json.decode(text, type=kind)
    except MsgspecError as error:
        raise Refused(f"the body is no {kind.__name__} of a site: {error}") from error
