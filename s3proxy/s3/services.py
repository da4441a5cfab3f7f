"""What the wire stands on: the rules of a gateway, and what its answers say of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from s3proxy.access import Access
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.listing import Listing
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.uploads import Uploads
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response


@dataclass(frozen=True, slots=True)
class Services:
    """`region` is what GetBucketLocation says of buckets that were made without one.

    `body_timeout` is how many seconds a body may stand still.
    """

    access: Access
    buckets: Buckets
    objects: Objects
    uploads: Uploads
    listing: Listing
    region: str
    body_timeout: float


Handler = Callable[[Services, Request], Awaitable[Response]]
