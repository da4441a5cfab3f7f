"""What models of the API have in common."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, ConfigDict

SECOND: Final = 1000
MOST: Final = 1000

Limit = Annotated[int, Query(ge=1, le=MOST, description="So many at the most.")]
After = Annotated[str, Query(description="Only what comes after that name.")]


class Asked(BaseModel):
    """The body of a request; closed to names it does not know."""

    model_config = ConfigDict(extra="forbid")


class Told(BaseModel):
    """The body of an answer, read from a noun of ours."""

    model_config = ConfigDict(from_attributes=True)


def moment(milliseconds: int) -> datetime:
    """A time of ours, as the API tells it."""
    return datetime.fromtimestamp(milliseconds / SECOND, UTC)


def moment_or_none(milliseconds: int) -> datetime | None:
    """The same; 0 is never."""
    return moment(milliseconds) if milliseconds else None
