"""Sites: added, paused, drained, removed, and how replication to each stands."""

from datetime import datetime
from http import HTTPStatus
from typing import Literal, Self

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, Field, model_validator

from replication import bandwidth, topology
from replication.bandwidth import LEAST, Direction
from replication.status import TargetStatus
from replication.topology import SiteState
from s3proxy.admin.here import Sites
from s3proxy.admin.resources.models import SECOND, Asked, Told, moment_or_none
from s3proxy.admin.resources.syncs import status_of

router = APIRouter(tags=["sites"])
CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"


class Limit(Asked):
    """How fast each other site sends to a site ("out"), or reads from it ("in"), at the most.

    `since` and `until` are times of the day in UTC; without them it holds whenever no other one of
    its direction does. 0 bytes a second are no limit.
    """

    direction: Direction
    bytes_per_second: int = Field(ge=0)
    since: str | None = Field(default=None, pattern=CLOCK)
    until: str | None = Field(default=None, pattern=CLOCK)

    @model_validator(mode="after")
    def _lets_a_large_object_pass(self) -> Self:
        if 0 < self.bytes_per_second < LEAST:
            raise ValueError(f"a limit is at least {LEAST} bytes a second: all must get through")
        return self

    @model_validator(mode="after")
    def _is_a_window_or_none(self) -> Self:
        if (self.since is None) != (self.until is None):
            raise ValueError("since and until go together")
        if self.since is not None and self.since == self.until:
            raise ValueError("a window from and to the same minute is none")
        return self


class Site(Told):
    """A site. Of those that may have what is missing here, lower `read_priority` is asked first."""

    name: str
    id: str
    endpoint: str
    state: SiteState
    read_priority: int
    added: datetime | None
    resume_at: datetime | None
    bandwidth: list[Limit]


class SiteList(Told):
    """All sites by name, this one and those that were removed, too."""

    sites: list[Site]


class SiteAsked(Asked):
    """Where a new site is: the URL of its site listener."""

    endpoint: str = Field(pattern=r"^https?://.+$")
    read_priority: int = 0


class SiteChange(Asked):
    """What to change of a site; what is left out stays. `bandwidth` is all limits there are then.

    Of two windows that overlap, the first counts.
    """

    state: Literal[SiteState.ACTIVE, SiteState.PAUSED, SiteState.DRAINED] | None = None
    endpoint: str | None = Field(default=None, pattern=r"^https?://.+$")
    read_priority: int | None = None
    bandwidth: list[Limit] | None = Field(default=None, max_length=100)


class Resuming(Asked):
    """When a paused site is to go on; at once if left out."""

    at: AwareDatetime | None = None


class BucketStatus(Told):
    """What one bucket still has to send to a site."""

    bucket: str
    lag_seconds: float
    backlog: int
    backlog_bytes: int


class Status(Told):
    """How replication from here to one site stands; that sites are alike only comparing them says.

    `lag_seconds` is the age of the oldest change that it does not have; rates are those of the
    last moments; `stale` changes were not sent because a later one was; `dead_letters` counts the
    changes that were given up. `backfilled` objects were sent of those that were here before it
    was added; `filling` says that more of them are to come.
    """

    site: str
    state: SiteState
    lag_seconds: float
    backlog: int
    backlog_bytes: int
    in_flight: int
    done: int
    bytes: int
    stale: int
    objects_per_second: float
    bytes_per_second: float
    failures: int
    dead_letters: int
    last_success: datetime | None
    last_error: str
    filling: bool
    backfilled: int
    buckets: list[BucketStatus]


class StatusList(Told):
    """How replication to each other site stands."""

    targets: list[Status]


@router.get("/sites")
async def list_sites(sites: Sites) -> SiteList:
    """List all sites."""
    return SiteList(sites=[_told(site) for site in await sites.sites()])


@router.post("/sites", status_code=HTTPStatus.CREATED)
async def add_site(asked: SiteAsked, sites: Sites, response: Response) -> Site:
    """Get to know another site: both have all that is shared from then on.

    409 where it is known already, speaks another version, or its clock is off.
    """
    site = await sites.add(asked.endpoint, read_priority=asked.read_priority)
    response.headers["location"] = f"/v1/sites/{site.name}"
    return _told(site)


@router.get("/sites/{name}")
async def get_site(name: str, sites: Sites) -> Site:
    """Show one site."""
    return _told(await sites.site(name))


@router.patch("/sites/{name}")
async def change_site(name: str, change: SiteChange, sites: Sites) -> Site:
    """Change a site's state, endpoint, priority or bandwidth. What is paused keeps its changes."""
    resume_at = None if change.state is None else 0
    limits = None if change.bandwidth is None else [_limit(limit) for limit in change.bandwidth]
    return _told(
        await sites.change(
            name,
            state=change.state,
            endpoint=change.endpoint,
            read_priority=change.read_priority,
            resume_at=resume_at,
            bandwidth=limits,
        )
    )


@router.delete("/sites/{name}", status_code=HTTPStatus.NO_CONTENT)
async def remove_site(name: str, sites: Sites) -> None:
    """Shut a site out: nothing goes there, nothing from there is applied. No object is deleted."""
    await sites.remove(name)


@router.post("/sites/{name}/pause")
async def pause_site(name: str, sites: Sites) -> Site:
    """Send a site nothing for now; changes wait for it."""
    return _told(await sites.change(name, state=SiteState.PAUSED, resume_at=0))


@router.post("/sites/{name}/resume")
async def resume_site(name: str, sites: Sites, resuming: Resuming | None = None) -> Site:
    """Let a paused or drained site go on: at once, or at a time until which it is paused."""
    if resuming is None or resuming.at is None:
        return _told(await sites.change(name, state=SiteState.ACTIVE, resume_at=0))
    at = int(resuming.at.timestamp() * SECOND)
    return _told(await sites.change(name, state=SiteState.PAUSED, resume_at=at))


@router.get("/sites/{name}/status")
async def get_status(name: str, sites: Sites) -> Status:
    """How replication to one site stands."""
    return _status(await status_of(name, sites))


@router.get("/status")
async def list_status(sites: Sites) -> StatusList:
    """How replication to every other site stands."""
    return StatusList(targets=[_status(status) for status in await sites.status()])


def _told(site: topology.Site) -> Site:
    return Site(
        name=site.name,
        id=site.id,
        endpoint=site.endpoint,
        state=site.state,
        read_priority=site.read_priority,
        added=moment_or_none(site.added),
        resume_at=moment_or_none(site.resume_at),
        bandwidth=[_limit_told(limit) for limit in site.bandwidth],
    )


def _limit(limit: Limit) -> bandwidth.Limit:
    return bandwidth.Limit(
        limit.direction, limit.bytes_per_second, limit.since or "", limit.until or ""
    )


def _limit_told(limit: bandwidth.Limit) -> Limit:
    return Limit(
        direction=limit.direction,
        bytes_per_second=limit.rate,
        since=limit.since or None,
        until=limit.until or None,
    )


def _status(status: TargetStatus) -> Status:
    told = {name: getattr(status, name) for name in Status.model_fields}
    buckets = [BucketStatus.model_validate(bucket) for bucket in status.buckets]
    return Status(
        **{**told, "last_success": moment_or_none(status.last_success), "buckets": buckets}
    )
