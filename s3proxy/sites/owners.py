"""Two buckets of one name and two owners are two buckets: their objects are not mixed."""

from backends.errors import Refused
from s3proxy.s3.request import Request
from s3proxy.sites.services import SiteServices

EXPECTED = "x-amz-expected-bucket-owner"


async def require_same_owner(services: SiteServices, request: Request) -> None:
    """Return if the bucket is the same client's on both sites. BucketNotFound, Refused."""
    bucket = await services.state.bucket(request.bucket)
    expected = request.headers.get(EXPECTED, bucket.owner)
    if bucket.owner != expected:
        raise Refused(
            f"the bucket {bucket.name} is {bucket.owner}'s here and {expected}'s there: "
            "empty and remove one of them, under another name"
        )
