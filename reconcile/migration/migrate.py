"""The job that moves a bucket's bytes from one storage to another, while clients use them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import Refused
from backends.model import KeyRange
from backends.state.protocol import StateStore
from backends.storage.layers.placed import TRUSTED_SECONDS
from backends.storage.protocol import ObjectStore
from reconcile.comparison.counting import objects_in
from reconcile.jobs.work import Checkpoint, Job, Outcome, Step, checkpoint_of, order_of
from reconcile.migration.indexing import Indexing
from reconcile.migration.migrations import KIND
from reconcile.migration.moving import Copying, Dropping, Page, Relocate, Stage, Verifying, Way
from reconcile.migration.records import Migration, MigrationRecords, Phase

SECOND: Final = 1000
KNOWN_SECONDS: Final = 2 * TRUSTED_SECONDS
INDEX: Final = "index"
COPY: Final = "copy"
VERIFY: Final = "verify"
DROP: Final = "drop"


class Ordered(Struct, frozen=True, forbid_unknown_fields=True):
    """What a job is told. With `deep` each copy is read again and its digest compared."""

    bucket: str
    deep: bool = False


class Reached(Struct, frozen=True, omit_defaults=True):
    """A checkpoint: the stage of a phase, and the key up to which its round is done.

    `changed` objects of this round make another one necessary; `wrong` ones keep the phase from
    its end.
    """

    phase: str = ""
    stage: int = 0
    after: str = ""
    changed: int = 0
    wrong: int = 0


class Plan(NamedTuple):
    """What a phase asks for: bytes come from `away` to `to` in these stages.

    Then it is `end`; where something was wrong, `otherwise`.
    """

    away: str
    to: str
    stages: tuple[str, ...]
    end: Phase
    otherwise: Phase


class Migrate:
    """As Work. Copies and verifies; drops what is left over only when that was asked for.

    Within `known_seconds` every process of the site knows of a new phase.
    """

    kind: Final = KIND

    def __init__(
        self,
        state: StateStore,
        stores: Mapping[str, ObjectStore],
        relocate: Relocate,
        *,
        known_seconds: float = KNOWN_SECONDS,
    ) -> None:
        self._state = state
        self._migrations = MigrationRecords(state)
        self._stores = stores
        self._relocate = relocate
        self._known_seconds = known_seconds

    async def check(self, job: Job) -> None:
        """NotFound where the bucket is not on its way. Refused."""
        if job.dry_run:
            raise Refused("a migration has no dry run: it can be rolled back until the cut-over")
        await self._migrations.find(order_of(job, Ordered).bucket)

    async def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        """Bring the bucket to the end of its phase, or stop where operators chose another one."""
        ordered = order_of(job, Ordered)
        reached = checkpoint_of(checkpoint, Reached)
        while True:
            migration = await self._migrations.find(ordered.bucket)
            plan = plan_of(migration)
            if reached.phase != migration.phase:
                reached = Reached(migration.phase)
            total = await self._total(migration)
            async with aclosing(self._pages(ordered, migration, plan, reached)) as pages:
                async for name, page, reached in pages:
                    written = _written(reached)
                    yield Step(written, name, page.done, page.moved, total, page.findings)
            outcome = await self._end(migration, plan, reached)
            if outcome is Outcome.DIFFERENCES or migration.phase is not Phase.INDEXING:
                break
        yield Step(_written(reached), outcome=outcome)

    async def _pages(
        self, ordered: Ordered, migration: Migration, plan: Plan, reached: Reached
    ) -> AsyncGenerator[tuple[str, Page, Reached], None]:
        """What is done page by page until the phase is over, or not wanted any more."""
        await self._until_known(migration)
        stages = await self._stages(ordered, migration, plan)
        while reached.stage < len(plan.stages) and await self._is_wanted(migration):
            name = plan.stages[reached.stage]
            page = await stages[name].page(reached.after)
            reached = after_page(reached, page, rounds=name == COPY)
            yield name, page, reached

    async def _total(self, migration: Migration) -> int | None:
        """How many objects there are; while they are indexed nobody knows."""
        if migration.phase is Phase.INDEXING:
            return None
        return await objects_in(self._state, migration.bucket, KeyRange())

    async def _until_known(self, migration: Migration) -> None:
        """Wait until no process writes where it did before this phase."""
        known = migration.since + self._known_seconds * SECOND
        await asyncio.sleep(max(0.0, known - milliseconds()) / SECOND)

    async def _stages(
        self, ordered: Ordered, migration: Migration, plan: Plan
    ) -> Mapping[str, Stage]:
        bucket = await self._state.bucket(ordered.bucket)
        way = Way(self._state, self._relocate, bucket, plan.away, plan.to)
        away = self._stores[plan.away]
        return {
            INDEX: Indexing(self._state, away, bucket, migration),
            COPY: Copying(way, looks=plan.end is Phase.RETURNED),
            VERIFY: Verifying(way, self._stores[plan.to], deep=ordered.deep),
            DROP: Dropping(way, away),
        }

    async def _is_wanted(self, migration: Migration) -> bool:
        return (await self._migrations.find(migration.bucket)).phase is migration.phase

    async def _end(self, migration: Migration, plan: Plan, reached: Reached) -> Outcome:
        """The phase is over where all of its stages are."""
        over = reached.stage == len(plan.stages)
        following = plan.otherwise if reached.wrong else plan.end
        if over and following is not migration.phase:
            await self._migrations.reach(migration, following)
        return Outcome.ALIKE if over and not reached.wrong else Outcome.DIFFERENCES


def plan_of(migration: Migration) -> Plan:
    """What the phase of a migration asks for."""
    source, target = migration.source, migration.target
    last = VERIFY if migration.keeps else DROP
    there, back = (source, target), (target, source)
    away, to, stages, end, otherwise = {
        Phase.INDEXING: (*there, (INDEX,), Phase.COPYING, Phase.INDEXING),
        Phase.COPYING: (*there, (COPY, VERIFY), Phase.COPIED, Phase.COPYING),
        Phase.COPIED: (*there, (VERIFY,), Phase.COPIED, Phase.COPYING),
        Phase.DROPPING: (*there, (COPY, last), Phase.DONE, Phase.DROPPING),
        Phase.DONE: (*there, (VERIFY,), Phase.DONE, Phase.DONE),
        Phase.RETURNING: (*back, (COPY, VERIFY, DROP), Phase.RETURNED, Phase.RETURNING),
        Phase.RETURNED: (*back, (VERIFY,), Phase.RETURNED, Phase.RETURNED),
    }[migration.phase]
    return Plan(away, to, stages, end, otherwise)


def after_page(reached: Reached, page: Page, *, rounds: bool) -> Reached:
    """What is reached with one page more; `rounds` go on until one of them changes nothing."""
    changed, wrong = reached.changed + page.changed, reached.wrong + page.wrong
    if page.last:
        return replace(reached, after=page.last, changed=changed, wrong=wrong)
    if rounds and changed:
        return Reached(reached.phase, reached.stage, wrong=wrong)
    return Reached(reached.phase, reached.stage + 1, wrong=wrong)


def _written(reached: Reached) -> dict[str, Any]:
    found: dict[str, Any] = to_builtins(reached)
    return found
