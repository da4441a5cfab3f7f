"""The one prefix of keys that this system keeps for itself in the buckets of other storages."""

from typing import Final

from backends.errors import InvalidName

RESERVED: Final = ".clone-cloud-store/"
BEHIND: Final = RESERVED + "\U0010ffff"


def is_reserved(key: str) -> bool:
    """Whether the key is one that clients neither see nor write."""
    return key.startswith(RESERVED)


def require_free(key: str) -> None:
    """Return unless the key is reserved: InvalidName."""
    if is_reserved(key):
        raise InvalidName(f"keys that begin with {RESERVED} are reserved")
