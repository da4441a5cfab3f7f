"""What every group of verbs stands on: the database, a clock, the name of the site."""

from collections.abc import Callable

from backends.clock import Clock
from backends.database import Database
from backends.errors import BucketNotFound


class Tables:
    """`now` answers milliseconds since the Unix epoch."""

    def __init__(self, database: Database, site: str, now: Callable[[], int]) -> None:
        self._database = database
        self._site = site
        self._now = now
        self._clock = Clock(now)

    def _require_bucket(self, name: str) -> None:
        """Return if there is such a bucket, read outside any transaction. BucketNotFound."""
        if not self._database.read("SELECT 1 FROM buckets WHERE name = ?", (name,)):
            raise BucketNotFound(f"there is no bucket {name}")
