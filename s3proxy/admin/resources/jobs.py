"""Long work: where it stands."""

import re
from typing import Final, Literal

from fastapi import APIRouter

from backends.errors import NotFound
from replication.status import TargetStatus
from s3proxy.admin.here import Sites
from s3proxy.admin.resources.models import Told

SYNC: Final = "sync-"

router = APIRouter(prefix="/jobs", tags=["jobs"])


class Job(Told):
    """Work that goes on in the background, also over restarts. `objects` are done so far."""

    id: str
    kind: Literal["sync"] = "sync"
    site: str
    state: Literal["running", "done"]
    objects: int


@router.get("/{job}")
async def get_job(job: str, sites: Sites) -> Job:
    """How far a job has come."""
    found = re.fullmatch(rf"{SYNC}(.+)", job)
    if not found:
        raise NotFound(f"there is no job {job}")
    return await sync_of(found[1], sites)


async def sync_of(site: str, sites: Sites) -> Job:
    """The job that sends a site all that is here. NotFound."""
    status = await status_of(site, sites)
    state: Literal["running", "done"] = "running" if status.filling else "done"
    return Job(id=f"{SYNC}{site}", site=site, state=state, objects=status.backfilled)


async def status_of(name: str, sites: Sites) -> TargetStatus:
    """How replication to that site stands. NotFound."""
    await sites.site(name)
    for status in await sites.status():
        if status.site == name:
            return status
    raise NotFound(f"{name} is this site: nothing is sent to it")
