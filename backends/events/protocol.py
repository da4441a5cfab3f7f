"""What an event log must do: at least once, in order for each object."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from backends.model import Event


class Delivery(Protocol):
    """One event handed to a group; it comes again unless it is acknowledged."""

    @property
    def event(self) -> Event: ...

    async def acknowledge(self) -> None:
        """The group is done with it."""

    async def retry_after(self, seconds: float) -> None:
        """Hand it out again, not before so many seconds; later events of its object wait."""

    async def dead_letter(self, reason: str) -> None:
        """The group gives up: it is kept aside with the reason, then as acknowledged.

        Unavailable where it could not be kept; then it is still out. NotSupported by a log that
        has nowhere to keep it.
        """


class EventLog(Protocol):
    """Carries changes to groups of consumers."""

    def subscribe(self, group: str) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """The events since the group first subscribed that it has not acknowledged.

        Unavailable, AccessDenied or NotFound where the log cannot be read, from here or from an
        iteration: then leave the block and subscribe again.
        """
