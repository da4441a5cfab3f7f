"""Changes that a site did not take, however often they were sent."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from replication.parked import Parked
from s3proxy.admin.here import Sites
from s3proxy.admin.resources.models import Asked, Told, moment

router = APIRouter(prefix="/sites/{name}/dead-letters", tags=["sites"])


class DeadLetter(Told):
    """A change that was given up: of what, which, why, after how many tries, and since when."""

    bucket: str
    key: str
    version: str
    event: str
    size: int
    reason: str
    attempts: int
    since: datetime


class DeadLetters(Told):
    """Those of one site, by object."""

    dead_letters: list[DeadLetter]


class Chosen(Asked):
    """Which of them: one object's, one bucket's, or all."""

    bucket: str = ""
    key: str = ""


class Count(Told):
    """How many those were."""

    count: int


@router.get("")
async def list_dead_letters(name: str, sites: Sites) -> DeadLetters:
    """List what was given up for the site."""
    return DeadLetters(dead_letters=[_told(one) for one in await sites.dead_letters(name)])


@router.post("/retry")
async def retry_dead_letters(name: str, sites: Sites, chosen: Chosen | None = None) -> Count:
    """Send them once more; `count` of them arrived."""
    asked = chosen or Chosen()
    return Count(count=await sites.retry(name, asked.bucket, asked.key))


@router.delete("")
async def drop_dead_letters(
    name: str,
    sites: Sites,
    bucket: Annotated[str, Query(description="Only this bucket's.")] = "",
    key: Annotated[str, Query(description="Only this object's.")] = "",
) -> Count:
    """Forget them: the site never gets these changes, unless the objects change again."""
    return Count(count=await sites.drop(name, bucket, key))


def _told(parked: Parked) -> DeadLetter:
    event = parked.event
    return DeadLetter(
        bucket=event.bucket,
        key=event.key,
        version=str(event.version),
        event=event.name,
        size=event.size,
        reason=parked.reason,
        attempts=parked.attempts,
        since=moment(parked.since),
    )
