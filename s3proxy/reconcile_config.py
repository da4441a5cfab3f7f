"""Settings of jobs that start by themselves."""

from pydantic import Field

from s3proxy.section import Section

MINUTE = 60
HOUR = 3600


class Reconcile(Section):
    """How often this site compares itself with the others, and its state with its storage."""

    verify_minutes: float = Field(default=60, ge=0)
    heal: bool = True
    max_deletes: int = Field(default=1000, ge=0)
    scrub_hours: float = Field(default=0, ge=0)
    scrub_deep: bool = False
