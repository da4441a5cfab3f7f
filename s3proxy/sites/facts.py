"""What this site tells of itself and of its keys, in JSON."""

from typing import Any

from msgspec import json

from backends.clock import milliseconds
from backends.errors import NotFound
from backends.state.protocol import StateStore
from replication.messages import HELLO, Applied, Found, Hello
from replication.topology import PROTOCOL
from s3proxy.gateway.objects import ObjectRules
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.sites.services import SiteServices

JSON = "application/json"


def answer(value: Any) -> Response:
    """A value in JSON."""
    return Response(200, {"content-type": JSON}, json.encode(value))


def applied(done: bool) -> Response:
    """Whether a change is the newest of its key here now."""
    return answer(Applied(done))


async def ask(services: SiteServices, request: Request) -> Response:
    """What the JSON API answers: who this site is."""
    if request.key != HELLO:
        raise S3Error("NotImplemented", f"There is no /{request.bucket}/{request.key} here.")
    return answer(Hello(services.name, services.id, PROTOCOL, milliseconds()))


async def found(services: SiteServices, request: Request) -> Response:
    """What is known of a key; nothing is an answer, too."""
    place = request.bucket, request.key
    return answer(await known_of(services.state, services.objects, *place))


async def known_of(state: StateStore, objects: ObjectRules, bucket: str, key: str) -> Found:
    """The newest row, or else what lies there without one."""
    try:
        row = await state.newest(bucket, key) or await objects.find(bucket, key)
    except NotFound:
        return Found()
    return Found(row.facts, row.deleted)
