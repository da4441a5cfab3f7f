"""How a buffer behaves."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BufferOptions:
    """`folder` is the buffer's own; `max_bytes` bounds what waits there and what is on its way.

    With `always` each write goes into the buffer first, else only those of a storage that failed
    to answer less than `unsteady_seconds` ago and has not answered since. A write that the storage
    does not take is tried again after `retry_seconds`, then after twice as long and so on, up to
    `longest_retry_seconds`. With `etags` the locator of what waits is its ETag, for gateways
    without state over storages whose locators are their ETags.
    """

    folder: Path
    max_bytes: int = 10 * 1024**3
    always: bool = False
    unsteady_seconds: float = 30.0
    retry_seconds: float = 1.0
    longest_retry_seconds: float = 300.0
    etags: bool = False
    durable: bool = True
