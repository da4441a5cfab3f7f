"""What the wire stands on: the rules of a gateway, and what its answers say of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from replication.expiry import ExpiryRules
from s3proxy.access import Access
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.listing import Listing
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.replication import Replication
from s3proxy.gateway.uploads import Uploads
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.s3.verified import Checks


@dataclass(frozen=True, slots=True)
class Services:
    """`region` is what GetBucketLocation says of buckets that were made without one.

    `body_timeout` is how many seconds a body may stand still. `checks` says how bodies on their way
    out are checked. `replication` is there where the gateway is one of several sites,
    `expiry` where there is a state that remembers what expires when.
    """

    access: Access
    buckets: Buckets
    objects: ObjectRules
    uploads: Uploads
    listing: Listing
    region: str
    body_timeout: float
    checks: Checks
    replication: Replication | None = None
    expiry: ExpiryRules | None = None


Handler = Callable[[Services, Request], Awaitable[Response]]
