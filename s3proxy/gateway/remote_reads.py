"""Whether what is missing in a bucket is read from other sites: as it says, or as the site does."""

import time
from typing import Final

from replication.buckets import change_bucket
from replication.documents import Documents, value_at
from replication.topology import BUCKETS, BucketFacts

OFF: Final = "off"
READ: Final = "read"
RESTORE: Final = "restore"
CHOICES: Final = frozenset({OFF, READ, RESTORE})
KNOWN_SECONDS: Final = 1.0
KNOWN: Final = 10_000
NOTHING: Final = BucketFacts("", 0)


class RemoteReads:
    """OFF, READ (nothing is kept) or RESTORE; `default` is the site's own choice."""

    def __init__(self, shared: Documents, default: str) -> None:
        self._shared = shared
        self._default = default
        self._known: dict[str, tuple[float, str]] = {}

    async def of(self, bucket: str) -> str:
        """What holds for the bucket, as it was at most a second ago."""
        until, chosen = self._known.get(bucket, (0.0, ""))
        now = time.monotonic()
        if now < until:
            return chosen
        facts = await value_at(self._shared, BUCKETS + bucket, BucketFacts, NOTHING)
        chosen = facts.remote_read if facts.remote_read in CHOICES else self._default
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[bucket] = (now + KNOWN_SECONDS, chosen)
        return chosen

    async def choose(self, bucket: str, choice: str) -> None:
        """Let all sites do so in the bucket; "" is as each of them does elsewhere. NotFound.

        ValueError for another choice.
        """
        if choice and choice not in CHOICES:
            raise ValueError(f"{choice!r} is none of {', '.join(sorted(CHOICES))}")
        await change_bucket(self._shared, bucket, remote_read=choice)
        self._known.pop(bucket, None)
