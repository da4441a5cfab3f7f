"""How replication to one site stands, as one process writes it down for all to see."""

from typing import Final

from msgspec import Struct

TARGETS: Final = "targets/"
FRESH: Final = 15_000


class Figures(Struct, frozen=True):
    """As one process counts them. Times are in milliseconds, 0 where it never happened.

    `oldest` is the age's beginning: when the oldest change under way was made, 0 where none is.
    """

    done: int = 0
    bytes: int = 0
    stale: int = 0
    failures: int = 0
    parked: int = 0
    in_flight: int = 0
    oldest: int = 0
    last_success: int = 0
    last_error: str = ""
    objects_per_second: float = 0.0
    bytes_per_second: float = 0.0
    taken: int = 0
