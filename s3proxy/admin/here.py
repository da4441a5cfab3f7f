"""How resources get at what the API stands on."""

from typing import Annotated, Final

from fastapi import Depends, Request

from backends.errors import Refused
from reconcile.comparison.standing import Standings
from reconcile.comparison.verification import Verifications
from reconcile.jobs.ledger import Ledger
from reconcile.migration.migrations import Migrations
from replication.expiry import ExpiryRules
from replication.federation import Federation
from s3proxy.admin.services import Services
from s3proxy.sites_config import ALONE

STATELESS: Final = "without a state nothing remembers what expires: set state.kind, and restart"
NO_STATE: Final = "a gateway without state keeps no jobs: set state.kind, and restart"


def _services(request: Request) -> Services:
    found = request.app.state.services
    if not isinstance(found, Services):
        raise TypeError("the application has no services")
    return found


Here = Annotated[Services, Depends(_services)]


def federation_of(here: Here) -> Federation:
    """What knows other sites. Refused where there are none."""
    if here.federation is None:
        raise Refused(ALONE)
    return here.federation


def _verifications(here: Here) -> Verifications:
    if here.verifications is None:
        raise Refused(ALONE)
    return here.verifications


def _jobs(here: Here) -> Ledger:
    if here.jobs is None:
        raise Refused(NO_STATE)
    return here.jobs


def _migrations(here: Here) -> Migrations:
    if here.migrations is None:
        raise Refused(NO_STATE)
    return here.migrations


def _standings(here: Here) -> Standings:
    if here.standings is None:
        raise Refused(ALONE)
    return here.standings


def expiry_of(here: Here) -> ExpiryRules:
    """What knows when objects expire. Refused without a state."""
    if here.expiry is None:
        raise Refused(STATELESS)
    return here.expiry


Sites = Annotated[Federation, Depends(federation_of)]
Verifying = Annotated[Verifications, Depends(_verifications)]
Jobs = Annotated[Ledger, Depends(_jobs)]
Migrating = Annotated[Migrations, Depends(_migrations)]
InSync = Annotated[Standings, Depends(_standings)]
