"""Long work in the background: what a job is, how far it has come, what a kind of work must do."""

from collections.abc import AsyncGenerator, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from msgspec import Struct, ValidationError, convert

from backends.errors import Refused

T = TypeVar("T")
Order = Mapping[str, Any]
Checkpoint = Mapping[str, Any]
START: Final[Checkpoint] = {}


class Wanted(StrEnum):
    """What operators want of a job."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class Standing(StrEnum):
    """Where a job stands. CANCELLED, DONE and FAILED are its end."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_end(self) -> bool:
        return self in {Standing.CANCELLED, Standing.DONE, Standing.FAILED}


class Outcome(StrEnum):
    """What a job that is done says in the end."""

    ALIKE = "alike"
    DIFFERENCES = "differences"


class Job(Struct, frozen=True, omit_defaults=True):
    """What was ordered. `order` is the kind's own: buckets, sites, directions.

    It does at most `objects_per_second` and moves `bytes_per_second`; 0 is as fast as it can. With
    `dry_run` it reports what it would do, and changes nothing. `scheduled` ones were started by no
    operator. `created` is in milliseconds.
    """

    id: str
    kind: str
    created: int
    order: dict[str, Any] = {}
    dry_run: bool = False
    objects_per_second: float = 0
    bytes_per_second: float = 0
    scheduled: bool = False
    wanted: Wanted = Wanted.RUN


class Finding(Struct, frozen=True, omit_defaults=True):
    """One line of a report: what is the matter with an object, what is done about it.

    `kind` is its class (MISSING, DIGEST, LOST ...), `action` what is to be done, `result` how that
    went, "" where nothing was done; `detail` says more in words. `here` and `there` say what each
    side has, `site` is the one that is to change.
    """

    kind: str
    bucket: str
    key: str
    action: str = ""
    result: str = ""
    detail: str = ""
    size: int = 0
    site: str = ""
    here: str = ""
    there: str = ""


class Step(Struct, frozen=True):
    """A piece of work that is done and need not be done again.

    A job that was interrupted goes on from the last `checkpoint`. `phase` names what it is at;
    `done` objects and `moved` bytes come to those before in this phase, `total` is how many objects
    the phase has, where that is known. The last step says the `outcome`.
    """

    checkpoint: Checkpoint
    phase: str = ""
    done: int = 0
    moved: int = 0
    total: int | None = None
    findings: tuple[Finding, ...] = ()
    outcome: Outcome | None = None


class Work(Protocol):
    """One kind of work. Each step may be done twice: a process can die behind it."""

    @property
    def kind(self) -> str: ...

    async def check(self, job: Job) -> None:
        """Return if the order makes sense. Refused, NotFound: what is wrong with it."""

    def run(self, job: Job, checkpoint: Checkpoint) -> AsyncGenerator[Step, None]:
        """Do it, from that checkpoint on; START is the beginning. Steps are small: seconds."""


def order_of(job: Job, kind: type[T]) -> T:
    """The order as such a value. Refused says which field is wrong."""
    return _converted(job.order, kind, f"the order of the job ({job.kind})")


def checkpoint_of(checkpoint: Checkpoint, kind: type[T]) -> T:
    """The checkpoint as such a value; one with all its defaults at the beginning."""
    return _converted(checkpoint, kind, "a checkpoint")


def _converted(value: Mapping[str, Any], kind: type[T], what: str) -> T:
    try:
        return convert(value, kind)
    except ValidationError as error:
        raise Refused(f"{what} is wrong: {error}") from error
