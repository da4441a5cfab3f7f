"""Sending a site once more all that is here: asked for, and how far that has come."""

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Response

from backends.errors import NotFound
from replication.status import TargetStatus
from s3proxy.admin.here import Sites
from s3proxy.admin.resources.models import Told

router = APIRouter(prefix="/sites/{name}/sync", tags=["sites"])


class Sync(Told):
    """It goes on in the background, also over restarts. `objects` are done so far."""

    site: str
    state: Literal["running", "done"]
    objects: int


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def sync_site(name: str, sites: Sites, response: Response) -> Sync:
    """Send a site all that is here once more; what it has already is not sent again."""
    await sites.sync(name)
    response.headers["location"] = f"/v1/sites/{name}/sync"
    return await get_sync(name, sites)


@router.get("")
async def get_sync(name: str, sites: Sites) -> Sync:
    """How far it has come."""
    status = await status_of(name, sites)
    state: Literal["running", "done"] = "running" if status.filling else "done"
    return Sync(site=name, state=state, objects=status.backfilled)


async def status_of(name: str, sites: Sites) -> TargetStatus:
    """How replication to that site stands. NotFound."""
    await sites.site(name)
    for status in await sites.status():
        if status.site == name:
            return status
    raise NotFound(f"{name} is this site: nothing is sent to it")
