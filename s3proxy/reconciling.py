"""The jobs of a gateway: which kinds of work there are, over what it has open."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from backends.state.derived import DerivedState
from backends.state.protocol import StateStore
from reconcile.jobs import Work
from reconcile.ledger import Ledger
from reconcile.runner import Runner
from replication.documents import OWN, Documents


@dataclass(frozen=True, slots=True)
class Reconciling:
    """The jobs there are, and what runs them."""

    ledger: Ledger
    runner: Runner

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the requests."""
        return [self.runner.run()]


async def reconciling_of(state: StateStore, works: Mapping[str, Work]) -> Reconciling | None:
    """The parts over one state, in which jobs are kept; None where there is no state."""
    if isinstance(state, DerivedState):
        return None
    own = Documents(state, OWN)
    await own.prepare()
    ledger = Ledger(own, works)
    return Reconciling(ledger, Runner(state, ledger, works))
