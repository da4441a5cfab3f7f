"""Another site as the one that decides on a bucket's conditional writes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from backends.errors import Corrupt
from backends.model import Facts, Precondition
from replication.client import SiteClient
from replication.remote import Remote


class Body(Protocol):
    """Bytes on their way; `etag` is right at their end."""

    @property
    def size(self) -> int | None: ...

    @property
    def etag(self) -> str: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Home:
    """A site that is asked to write."""

    site: SiteClient
    owner: str

    @property
    def name(self) -> str:
        return self.site.name

    async def write(
        self, bucket: str, key: str, body: Body, facts: Facts, condition: Precondition
    ) -> Remote:
        """Put an object there, as a client would; what became of it. As SiteClient.

        PreconditionFailed and NotFound as the condition says; Corrupt where other bytes arrived.
        """
        made = await self.site.write(bucket, key, body, facts, condition, owner=self.owner)
        if made.etag != body.etag:
            raise Corrupt(f"{bucket}/{key}: other bytes arrived at {self.name}: put it again")
        return Remote(bucket, key, made, [self.site])

    async def remove(self, bucket: str, key: str, condition: Precondition) -> None:
        """Delete an object there, as a client would."""
        await self.site.remove(bucket, key, condition, owner=self.owner)
