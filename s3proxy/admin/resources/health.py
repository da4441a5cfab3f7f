"""Health, and the configuration in force."""

import asyncio
from typing import Any

from fastapi import APIRouter

from s3proxy.admin.here import Here
from s3proxy.admin.resources.models import Told
from s3proxy.admin.services import fault_of

router = APIRouter(tags=["gateway"])


class Health(Told):
    """Whether the gateway can serve; `faults` says of what does not answer why."""

    healthy: bool
    faults: dict[str, str]
    site: str
    version: str


@router.get("/health")
async def get_health(here: Here) -> Health:
    """Ask state and storages whether they answer."""
    checks = {f"storage {storage.name}": storage.check for storage in here.storages}
    checks["state"] = here.state.ping
    found = await asyncio.gather(*map(fault_of, checks.values()))
    faults = {name: fault for name, fault in zip(checks, found, strict=True) if fault}
    return Health(healthy=not faults, faults=faults, site=here.site, version=here.version)


@router.get("/configuration")
async def get_configuration(here: Here) -> dict[str, Any]:
    """Every setting in force; secrets that are set are told as "***"."""
    return dict(here.configuration)
