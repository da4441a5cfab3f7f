"""Operations on buckets, as the wire has them."""

import re
from functools import lru_cache
from typing import Final

from backends.model import Bucket
from s3proxy.s3 import arguments, xml
from s3proxy.s3.body import read_document
from s3proxy.s3.errors import S3Error
from s3proxy.s3.headers import require_canned_acl
from s3proxy.s3.request import Request
from s3proxy.s3.response import NO_CONTENT, Response, document, iso_date
from s3proxy.s3.services import Services

DEFAULT_REGION: Final = "us-east-1"
MAX_BUCKETS: Final = 10_000
REGION: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
OWNERSHIP: Final = ("", "BucketOwnerEnforced")
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"


async def list_buckets(services: Services, request: Request) -> Response:
    """ListBuckets: prefix, bucket-region, max-buckets and continuation-token."""
    query = request.query
    limit = arguments.number(query, "max-buckets", MAX_BUCKETS, least=1)
    after = arguments.from_token(query.get("continuation-token", ""))
    prefix = query.get("prefix", "")
    page = await services.buckets.page(
        request.caller.owner, prefix=prefix, after=after, limit=min(limit, MAX_BUCKETS) + 1
    )
    shown = page[:limit]
    token = arguments.to_token(shown[-1].name) if len(page) > limit else ""
    region = query.get("bucket-region", "")
    body = xml.root(
        "ListAllMyBucketsResult",
        owner(request.caller.owner)
        + xml.tag("Buckets", "".join(_bucket(services, found, region) for found in shown))
        + xml.optional("Prefix", prefix)
        + xml.optional("ContinuationToken", token),
    )
    return document(body)


async def create_bucket(services: Services, request: Request) -> Response:
    """CreateBucket; making one's own again is no error."""
    require_canned_acl(request.headers)
    if request.headers.get("x-amz-object-ownership", "") not in OWNERSHIP:
        raise S3Error("NotImplemented", "Only BucketOwnerEnforced object ownership is supported.")
    region = _location(await read_document(services, request))
    await services.buckets.create(request.bucket, request.caller.owner, region)
    return Response(200, {"location": f"/{request.bucket}"})


async def head_bucket(services: Services, request: Request) -> Response:
    """HeadBucket."""
    bucket = await services.buckets.find(request.bucket)
    return Response(200, {"x-amz-bucket-region": region_of(services, bucket)})


async def delete_bucket(services: Services, request: Request) -> Response:
    """DeleteBucket; BucketNotEmpty while an object is in it."""
    await services.buckets.delete(request.bucket)
    return Response(NO_CONTENT)


async def get_bucket_location(services: Services, request: Request) -> Response:
    """GetBucketLocation: what the bucket was made with; empty for us-east-1 by default."""
    bucket = await services.buckets.find(request.bucket)
    default = "" if services.region == DEFAULT_REGION else services.region
    return document(xml.root("LocationConstraint", bucket.region or default))


async def get_bucket_versioning(services: Services, request: Request) -> Response:
    """GetBucketVersioning: never enabled, which S3 says with an empty document."""
    await services.buckets.find(request.bucket)
    return document(xml.root("VersioningConfiguration", ""))


async def get_bucket_acl(services: Services, request: Request) -> Response:
    """GetBucketAcl: the owner has full control, and no one else anything."""
    bucket = await services.buckets.find(request.bucket)
    return document(acl(bucket.owner))


def acl(name: str) -> str:
    """The ACL by which `name` owns a thing alone."""
    grantee = (
        f'<Grantee xmlns:xsi="{XSI}" xsi:type="CanonicalUser">'
        f"{xml.element('ID', name)}{xml.element('DisplayName', name)}</Grantee>"
    )
    grant = xml.tag("Grant", grantee + xml.element("Permission", "FULL_CONTROL"))
    return xml.root("AccessControlPolicy", owner(name) + xml.tag("AccessControlList", grant))


@lru_cache(maxsize=1024)
def owner(name: str, element: str = "Owner") -> str:
    """An owner or initiator: clients go by their name here."""
    return xml.tag(element, xml.element("ID", name) + xml.element("DisplayName", name))


def region_of(services: Services, bucket: Bucket) -> str:
    """Where a bucket says that it is."""
    return bucket.region or services.region


def _bucket(services: Services, bucket: Bucket, region: str) -> str:
    place = region_of(services, bucket)
    if region not in {"", place}:
        return ""
    return xml.tag(
        "Bucket",
        xml.element("Name", bucket.name)
        + xml.element("CreationDate", iso_date(bucket.created))
        + xml.element("BucketRegion", place),
    )


def _location(body: bytes) -> str:
    """The LocationConstraint of a CreateBucketConfiguration; "" without one."""
    if not body.strip():
        return ""
    region = xml.text_in(xml.parse(body, "CreateBucketConfiguration"), "LocationConstraint")
    if region and not REGION.fullmatch(region):
        raise S3Error("InvalidLocationConstraint", f"{region[:80]!r} is no location.")
    return region
