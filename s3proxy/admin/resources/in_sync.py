"""Whether buckets were in sync with other sites when they were compared last."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from s3proxy.admin.here import InSync
from s3proxy.admin.resources.models import Told, moment

router = APIRouter(prefix="/in-sync", tags=["sites"])


class BucketStanding(Told):
    """A bucket and a site: `differences` keys were not alike at that time; 0: in sync then."""

    site: str
    bucket: str
    verified: datetime
    differences: int


class Standings(Told):
    """By site and bucket; what was never compared is not there."""

    buckets: list[BucketStanding]


@router.get("")
async def list_in_sync(
    standings: InSync, site: Annotated[str, Query(description="Only this site.")] = ""
) -> Standings:
    """What the last comparison of each bucket with each site found."""
    return Standings(
        buckets=[
            BucketStanding(
                site=one.site,
                bucket=one.bucket,
                verified=moment(one.verified),
                differences=one.differences,
            )
            for one in await standings.known(site)
        ]
    )
