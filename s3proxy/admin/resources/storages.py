"""Storages: what there is, and whether it answers."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter

from backends.errors import NotFound
from s3proxy.admin import services
from s3proxy.admin.here import Here
from s3proxy.admin.resources.models import Told
from s3proxy.admin.services import fault_of

router = APIRouter(prefix="/storages", tags=["gateway"])


class Storage(Told):
    """A storage. `buckets` are patterns of what is made there, `fault` why it is not healthy."""

    name: str
    kind: str
    buckets: Sequence[str]
    location: str
    buffer: str
    healthy: bool
    fault: str


class Storages(Told):
    """All storages that the settings name."""

    storages: list[Storage]


@router.get("")
async def list_storages(here: Here) -> Storages:
    """List the storages, and ask each whether it answers."""
    return Storages(storages=await asyncio.gather(*map(_told, here.storages)))


@router.get("/{name}")
async def get_storage(name: str, here: Here) -> Storage:
    """Ask one storage whether it answers; that of `[storage]` is called `default`."""
    for storage in here.storages:
        if storage.name == name:
            return await _told(storage)
    raise NotFound(f"there is no storage {name}")


async def _told(storage: services.Storage) -> Storage:
    fault = await fault_of(storage.check)
    return Storage(
        name=storage.name,
        kind=storage.kind,
        buckets=storage.buckets,
        location=storage.location,
        buffer=storage.buffer,
        healthy=not fault,
        fault=fault,
    )
