"""What layers around the rules of objects have in common: what they do not change, they pass on."""

from collections.abc import Callable

from backends.model import UNCONDITIONAL, Facts, Precondition, Row
from s3proxy.gateway.incoming import Incoming
from s3proxy.gateway.objects import ObjectRules, Reading, Span


class ForwardingObjects:
    """As ObjectRules, by those of `objects`."""

    def __init__(self, objects: ObjectRules) -> None:
        self._objects = objects

    @property
    def checked_up_to(self) -> int:
        """As Objects."""
        return self._objects.checked_up_to

    async def find(self, bucket: str, key: str) -> Row:
        """As Objects."""
        return await self._objects.find(bucket, key)

    async def read(
        self,
        bucket: str,
        key: str,
        decide: Callable[[Row], Span | None],
        *,
        whole: bool = False,
    ) -> Reading:
        """As Objects."""
        return await self._objects.read(bucket, key, decide, whole=whole)

    async def put(
        self,
        bucket: str,
        key: str,
        body: Incoming,
        facts: Facts,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """As Objects."""
        return await self._objects.put(bucket, key, body, facts, operation, condition=condition)

    async def copy(
        self,
        source: tuple[str, str],
        bucket: str,
        key: str,
        decide: Callable[[Row], Facts],
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """As Objects."""
        return await self._objects.copy(source, bucket, key, decide, operation, condition=condition)

    async def delete(
        self, bucket: str, key: str, operation: str, *, condition: Precondition = UNCONDITIONAL
    ) -> None:
        """As Objects."""
        await self._objects.delete(bucket, key, operation, condition=condition)
