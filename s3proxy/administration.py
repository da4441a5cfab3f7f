"""The operators' API over what a gateway has open."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from backends.state.protocol import StateStore
from reconcile.comparison.standing import Standings
from reconcile.comparison.verification import Verifications
from reconcile.jobs.ledger import Ledger
from reconcile.migration.migrations import Migrations
from replication.documents import OWN, Documents
from replication.expiry import ExpiryRules
from replication.federation import Federation
from s3proxy import DISTRIBUTION
from s3proxy.admin.operators import Operators, Records
from s3proxy.admin.records import OperatorDocuments, OperatorFile
from s3proxy.admin.services import Services, Storage
from s3proxy.config import Settings
from s3proxy.gateway.placement import DEFAULT
from s3proxy.listeners import Application
from s3proxy.shown import shown
from s3proxy.storages import Storages

FILE: Final = "operators.json"


async def operators_of(settings: Settings, state: StateStore) -> Operators:
    """Those who may administer this site, kept in its state; beside it where it is "none"."""
    return Operators(await _records_of(settings, state))


async def _records_of(settings: Settings, state: StateStore) -> Records:
    if settings.state.kind == "none":
        return OperatorFile(settings.storage.data / FILE)
    own = Documents(state, OWN)
    await own.prepare()
    return OperatorDocuments(own)


async def admin_of(
    settings: Settings,
    state: StateStore,
    storages: Storages,
    jobs: Ledger | None = None,
    federation: Federation | None = None,
    verifications: Verifications | None = None,
    standings: Standings | None = None,
    expiry: ExpiryRules | None = None,
) -> Application | None:
    """The application of the admin listener, unless it is turned off."""
    if not settings.admin.enabled:
        return None
    from s3proxy.admin.application import admin

    return admin(
        Services(
            operators=await operators_of(settings, state),
            state=state,
            storages=tuple(_told(settings, storages)),
            configuration=shown(settings),
            version=version(DISTRIBUTION),
            site=settings.site.name,
            jobs=jobs,
            migrations=Migrations(state, storages.each, jobs) if jobs else None,
            federation=federation,
            verifications=verifications,
            standings=standings,
            expiry=expiry,
        )
    )


def _told(settings: Settings, storages: Storages) -> Iterator[Storage]:
    """The storages themselves are asked, also where a buffer takes writes in their place."""
    for name, backend in {DEFAULT: settings.storage, **settings.storages}.items():
        buffer = storages.buffers.get(name)
        named = settings.storages.get(name)
        yield Storage(
            name=name or "default",
            kind=backend.kind,
            check=buffer.storage.ping if buffer else storages.each[name].ping,
            buckets=named.buckets if named else (),
            location=(named.location or name) if named else "",
            buffer=backend.buffer.mode,
        )
