"""What the rules need to know of other sites: what they have, and its bytes."""

from collections.abc import AsyncGenerator
from typing import Protocol

from backends.model import Facts


class Remote(Protocol):
    """An object that other sites have."""

    @property
    def bucket(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def facts(self) -> Facts: ...

    def read(self, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Those bytes, from whichever site gives them. Unavailable where none does."""

    def elsewhere(self) -> "Remote | None":
        """The same without the site that is asked first; None where it is the only one."""


class Elsewhere(Protocol):
    """Looks at other sites."""

    async def find(self, bucket: str, key: str) -> Remote | None:
        """The newest that they have, or None: also where a tombstone is newer."""
