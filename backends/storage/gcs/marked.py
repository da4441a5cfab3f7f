"""Writes on a condition, which may be sent again: how one knows what it has done."""

import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from backends.errors import NotFound, PreconditionFailed
from backends.storage.gcs.attributes import MARK, Resource
from backends.storage.gcs.connection import Connection, object_path


@dataclass(frozen=True, slots=True)
class Target:
    """The object that a write is to make, and the query that says what it must find there.

    A request on a generation can be sent again when no answer came: it cannot happen twice. But
    the second is refused because of the first, so such a write bears a `mark` by which it knows
    its own.
    """

    bucket: str
    name: str
    condition: Mapping[str, str]
    mark: str

    @classmethod
    def of(cls, bucket: str, name: str, replacing: str | None) -> "Target":
        condition = {} if replacing is None else {"ifGenerationMatch": replacing or "0"}
        return cls(bucket, name, condition, secrets.token_hex(8) if condition else "")

    @property
    def path(self) -> str:
        return object_path(self.bucket, self.name)

    def marked(self, resource: Resource) -> Resource:
        """What the write says of the object, with the mark."""
        if not self.mark:
            return resource
        return {**resource, "metadata": {**resource["metadata"], MARK: self.mark}}

    async def settled(self, connection: Connection, write: Awaitable[Resource]) -> Resource:
        """The resource that the write answers, or has made when its repetition is refused."""
        try:
            return await write
        except PreconditionFailed:
            resource = await self._found(connection)
            if not self.mark or (resource.get("metadata") or {}).get(MARK) != self.mark:
                raise
            return resource

    async def _found(self, connection: Connection) -> Resource:
        try:
            return await connection.ask("GET", self.path)
        except NotFound:
            return {}
