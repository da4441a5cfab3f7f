"""Buckets, whoever they belong to; what is in them is for S3."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from fastapi import APIRouter
from pydantic import Field

from backends import model
from backends.errors import BucketNotFound
from reconcile.migration.records import shown
from s3proxy.admin.here import Here, expiry_of, federation_of
from s3proxy.admin.resources.models import After, Asked, Limit, Told, moment
from s3proxy.admin.services import Services

SYSTEM: Final = "."
# Names of buckets start with a letter or a digit, all above this; those of our own with a dot.
BEFORE_ALL: Final = "/"
MOST_DAYS: Final = 36_500

router = APIRouter(prefix="/buckets", tags=["clients"])


class Bucket(Told):
    """A bucket, its owner, and where its new bytes go."""

    name: str
    owner: str
    created: datetime
    region: str
    storage: str


class SharedBucket(Bucket):
    """The same, and how sites share it.

    `home` is the site that decides on conditional writes, `remote_read` what is done about what is
    missing; "" leaves it to each site. Objects expire `expire_days` after they were written, 0 for
    not by their age; what expires is copied to `archive_to` before, "" for nowhere.
    """

    home: str = ""
    remote_read: str = ""
    expire_days: float = 0
    archive_to: str = ""


class BucketChange(Asked):
    """What to change of a bucket, at all sites; what is left out stays."""

    home: str | None = None
    remote_read: Literal["", "off", "read", "restore"] | None = None
    expire_days: float | None = Field(default=None, ge=0, le=MOST_DAYS)
    archive_to: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether it is about how sites share the bucket."""
        return (self.home, self.remote_read) != (None, None)

    @property
    def expires(self) -> bool:
        """Whether it is about what expires."""
        return (self.expire_days, self.archive_to) != (None, None)


class Buckets(Told):
    """A page of buckets, by name; `next` is what to ask for `after`, null on the last page."""

    buckets: list[Bucket]
    next: str | None


@router.get("")
async def list_buckets(here: Here, after: After = "", limit: Limit = 100) -> Buckets:
    """List buckets of all owners, by name."""
    found = await here.state.every_bucket(after=max(after, BEFORE_ALL), limit=limit)
    last = found[-1].name if len(found) == limit else None
    return Buckets(buckets=await _all(found, here), next=last)


@router.get("/{name}")
async def get_bucket(name: str, here: Here) -> SharedBucket:
    """Show one bucket."""
    [bucket] = await _all([await _found(name, here)], here)
    told = bucket.model_dump()
    facts = await here.federation.bucket(name) if here.federation else None
    if facts:
        told |= {"home": facts.home, "remote_read": facts.remote_read}
    rule = await here.expiry.rule(name) if here.expiry else None
    if rule:
        told |= {"expire_days": rule.days, "archive_to": rule.archive}
    return SharedBucket(**told)


@router.patch("/{name}")
async def change_bucket(name: str, change: BucketChange, here: Here) -> SharedBucket:
    """Change how sites share a bucket, and when its objects expire."""
    await _found(name, here)
    if change.is_shared:
        sites = federation_of(here)
        await sites.change_bucket(name, home=change.home, remote_read=change.remote_read)
    if change.expires:
        rules = expiry_of(here)
        await rules.change(name, days=change.expire_days, archive=change.archive_to)
    return await get_bucket(name, here)


async def _found(name: str, here: Here) -> model.Bucket:
    """The bucket, unless it is one of our own. BucketNotFound."""
    if name.startswith(SYSTEM):
        raise BucketNotFound(f"there is no bucket {name}")
    return await here.state.bucket(name)


async def _all(found: Sequence[model.Bucket], here: Services) -> list[Bucket]:
    moved = await here.migrations.storages(found) if here.migrations else {}
    return [_told(bucket, moved.get(bucket.name, bucket.storage)) for bucket in found]


def _told(bucket: model.Bucket, storage: str) -> Bucket:
    return Bucket(
        name=bucket.name,
        owner=bucket.owner,
        created=moment(bucket.created),
        region=bucket.region,
        storage=shown(storage),
    )
