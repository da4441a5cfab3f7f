"""Changes that still wait for a site."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from s3proxy.admin.here import Sites
from s3proxy.admin.resources.models import Limit, Told, moment

router = APIRouter(prefix="/sites/{name}/pending", tags=["sites"])


class Change(Told):
    """A change: of what, which, and when it was made."""

    bucket: str
    key: str
    version: str
    event: str
    size: int
    made: datetime


class Changes(Told):
    """A page of changes, the oldest first; `next` is what to ask for `after`, null at the end."""

    changes: list[Change]
    next: int | None


@router.get("")
async def list_pending(
    name: str,
    sites: Sites,
    after: Annotated[int, Query(ge=0, description="Only what comes after that number.")] = 0,
    limit: Limit = 100,
) -> Changes:
    """List changes that wait for the site; with a broker, those that wait for the broker."""
    found = await sites.pending(name, after=after, limit=limit)
    changes = [
        Change(
            bucket=event.bucket,
            key=event.key,
            version=str(event.version),
            event=event.name,
            size=event.size,
            made=moment(event.made),
        )
        for _, event in found
    ]
    return Changes(changes=changes, next=found[-1][0] if len(found) == limit else None)
