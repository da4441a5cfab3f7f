"""Migrations: buckets on their way from one storage to another."""

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from pydantic import Field, model_validator

from reconcile.migration import records as migration
from reconcile.migration.migrations import Pace
from reconcile.migration.records import Phase, shown
from s3proxy.admin.here import Migrating
from s3proxy.admin.resources.models import Asked, Told, moment
from s3proxy.first_key import OWNER
from s3proxy.gateway.placement import DEFAULT

SHOWN: Final = shown(DEFAULT)

router = APIRouter(prefix="/migrations", tags=["jobs"])


class Migration(Told):
    """A bucket's way between two storages. New objects go to `active`; `job` does the work."""

    bucket: str
    source: str
    target: str
    active: str
    phase: Phase
    started: datetime
    job: str
    keeps: bool


class Migrations(Told):
    """Migrations, by the names of their buckets."""

    migrations: list[Migration]


class Start(Asked):
    """One bucket, or all that lie in the storage `source`, are to move to the storage `target`.

    With both, the bucket may be one that only the source knows; it becomes the owner's.
    """

    bucket: str = ""
    source: str = ""
    target: str
    owner: str = OWNER
    objects_per_second: float = Field(default=0, ge=0, description="At the most; 0: no limit.")
    bytes_per_second: float = Field(default=0, ge=0, description="At the most; 0: no limit.")

    @model_validator(mode="after")
    def _says_what(self) -> "Start":
        if not self.bucket and not self.source:
            raise ValueError("name a bucket, or the storage whose buckets are to move")
        return self


class Cutover(Asked):
    """How it is to end."""

    keep: bool = Field(default=False, description="Leave in the old storage what is there.")


@router.get("")
async def list_migrations(migrating: Migrating) -> Migrations:
    """The last migration of each bucket that was ever moved."""
    return _all(await migrating.every())


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def start_migrations(start: Start, migrating: Migrating) -> Migrations:
    """Let a bucket move, or all of a storage. From now on new objects go to the new one."""
    target = _named(start.target)
    pace = Pace(start.objects_per_second, start.bytes_per_second)
    if start.bucket and start.source:
        source = _named(start.source)
        return _all([await migrating.pull(start.bucket, source, target, start.owner, pace)])
    if start.bucket:
        return _all([await migrating.start(start.bucket, target, pace)])
    return _all(await migrating.start_all(_named(start.source), target, pace))


@router.get("/{name}")
async def get_migration(name: str, migrating: Migrating) -> Migration:
    """How far a bucket is; its job tells the rest."""
    return _told(await migrating.find(name))


@router.post("/{name}/cutover", status_code=HTTPStatus.ACCEPTED)
async def cut_over(name: str, migrating: Migrating, cutover: Cutover | None = None) -> Migration:
    """Make it final, and drop what the old storage still has."""
    keeps = cutover is not None and cutover.keep
    return _told(await migrating.cutover(name, keeps=keeps))


@router.post("/{name}/rollback", status_code=HTTPStatus.ACCEPTED)
async def roll_back(name: str, migrating: Migrating) -> Migration:
    """Bring the bucket back, with all that was written meanwhile."""
    return _told(await migrating.rollback(name))


def _named(storage: str) -> str:
    """The name as the settings have it."""
    return DEFAULT if storage == SHOWN else storage


def _all(found: Iterable[migration.Migration]) -> Migrations:
    return Migrations(migrations=[_told(one) for one in found])


def _told(found: migration.Migration) -> Migration:
    return Migration(
        bucket=found.bucket,
        source=shown(found.source),
        target=shown(found.target),
        active=shown(found.active),
        phase=found.phase,
        started=moment(found.started),
        job=found.job,
        keeps=found.keeps,
    )
