"""What this site tells of itself and of its keys, in JSON."""

from typing import Any

from msgspec import json

from backends.clock import milliseconds
from backends.errors import BucketNotFound
from replication.messages import HELLO, Applied, Found, Hello
from replication.topology import PROTOCOL
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
    try:
        row = await services.state.newest(request.bucket, request.key)
    except BucketNotFound:
        row = None
    return answer(Found(row.facts, row.deleted) if row else Found())
