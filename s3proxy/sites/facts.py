"""What this site tells of itself and of its keys, in JSON."""

from typing import Any

from msgspec import json

from backends.clock import milliseconds
from backends.errors import BucketNotFound
from replication.messages import DIGEST, HELLO, ROWS, Applied, Found, Hello, RangePage
from replication.ranges import digest_in, listed, piece
from replication.topology import PROTOCOL
from s3proxy.s3 import arguments
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.sites.services import SiteServices

JSON = "application/json"
MAX_TIME = 2**53


def answer(value: Any) -> Response:
    """A value in JSON."""
    return Response(200, {"content-type": JSON}, json.encode(value))


def applied(done: bool) -> Response:
    """Whether a change is the newest of its key here now."""
    return answer(Applied(done))


async def ask(services: SiteServices, request: Request) -> Response:
    """What the JSON API answers: who this site is, what a range of keys holds."""
    name, _, bucket = request.key.partition("/")
    if name == HELLO and not bucket:
        return answer(Hello(services.name, services.id, PROTOCOL, milliseconds()))
    if name not in {DIGEST, ROWS} or not bucket:
        raise S3Error("NotImplemented", f"There is no /{request.bucket}/{request.key} here.")
    query = request.query
    asked = {"after": query.get("after", ""), "upto": query.get("upto", "")}
    before = arguments.number(query, "before", milliseconds(), most=MAX_TIME)
    if name == DIGEST:
        return answer(await digest_in(services.state, bucket, **asked, before=before))
    found = await piece(services.state, bucket, **asked, before=before)
    return answer(RangePage(tuple(map(listed, found.rows)), found.next or ""))


async def found(services: SiteServices, request: Request) -> Response:
    """What is known of a key; nothing is an answer, too."""
    try:
        row = await services.state.newest(request.bucket, request.key)
    except BucketNotFound:
        row = None
    return answer(Found(row.facts, row.deleted) if row else Found())
