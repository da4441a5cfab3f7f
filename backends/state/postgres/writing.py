"""What every write of an object in PostgreSQL shares: its locks, and what its outcome means."""

from typing import Final

from backends.errors import Busy, Superseded, Unavailable
from backends.model import Intent, Precondition
from backends.state.postgres.locks import Locks, in_order
from backends.state.postgres.records import require_of
from backends.state.postgres.tables import no_bucket
from backends.state.postgres.uploads import no_upload

DONE: Final = "done"


def locks_of(locks: Locks, buckets: list[bytes], keys: list[bytes]) -> tuple[list[int], list[int]]:
    """Those of the buckets, to be shared, and those of the keys in them."""
    places = set(zip(buckets, keys, strict=True))
    return in_order(map(locks.bucket, set(buckets))), in_order(
        locks.key(*place) for place in places
    )


def require_done(
    outcome: str,
    bucket: str,
    key: str,
    *,
    condition: Precondition,
    facts: bytes | None,
    upload: str = "",
    intent: Intent | None = None,
) -> None:
    """Return if the outcome is none of those that are errors; `facts` are the live row's."""
    what = f"{bucket}/{key}"
    if outcome == "no bucket":
        raise no_bucket(bucket)
    if outcome == "no upload":
        raise no_upload(bucket, key, upload)
    if outcome == "busy":
        raise Busy(f"{what} is being written by another client")
    if outcome == "superseded":
        raise Superseded(f"{what}: there is a version as new, or newer")
    if outcome == "lost" and intent:
        raise Unavailable(f"{what}: the lease of {intent.version} ran out")
    if outcome == "forbidden":
        require_of(condition, facts, what)
