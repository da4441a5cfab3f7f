"""What the operators' API stands on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.errors import BackendError
from backends.state.protocol import StateStore
from reconcile.comparison.standing import Standings
from reconcile.comparison.verification import Verifications
from reconcile.jobs.ledger import Ledger
from reconcile.migration.migrations import Migrations
from replication.expiry import ExpiryRules
from replication.federation import Federation
from s3proxy.admin.operators import Operators

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage, as the settings name it; `check` asks it whether it answers."""

    name: str
    kind: str
    check: Check
    buckets: Sequence[str] = ()
    location: str = ""
    buffer: str = "off"


@dataclass(frozen=True, slots=True)
class Services:
    """`configuration` has no secrets in it.

    Without state there are no `jobs`, no `migrations` and no `expiry`; a site that has no others
    has no `federation`, no `verifications` and no `standings`.
    """

    operators: Operators
    state: StateStore
    storages: Sequence[Storage]
    configuration: Mapping[str, Any]
    version: str
    site: str
    jobs: Ledger | None = None
    migrations: Migrations | None = None
    federation: Federation | None = None
    verifications: Verifications | None = None
    standings: Standings | None = None
    expiry: ExpiryRules | None = None


async def fault_of(check: Check) -> str:
    """Why the check fails, or ""."""
    try:
        await check()
    except BackendError as error:
        return str(error) or type(error).__name__
    return ""
