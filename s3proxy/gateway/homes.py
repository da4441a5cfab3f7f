"""Conditional writes of buckets that have a home: decided there, so that one of several wins.

A condition is atomic at one site. Where a bucket names its home site, conditional writes are sent
on to it, and what they made is fetched before the client hears of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from backends.errors import BackendError, Busy, NotSupported
from backends.model import UNCONDITIONAL, Facts, Precondition, Row
from s3proxy.gateway.elsewhere import Remote
from s3proxy.gateway.forwarding import ForwardingObjects
from s3proxy.gateway.incoming import Incoming
from s3proxy.gateway.objects import ObjectRules
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.transfer import Transfer

log: Final = structlog.get_logger("homes")
PAUSES: Final = tuple(min(0.01 * 2**attempt, 0.5) for attempt in range(14))


class HomeSite(Protocol):
    """Another site, as one that decides."""

    @property
    def name(self) -> str: ...

    async def write(
        self, bucket: str, key: str, body: Incoming, facts: Facts, condition: Precondition
    ) -> Remote:
        """Put an object there, as a client would; what became of it. As Objects.put."""

    async def remove(self, bucket: str, key: str, condition: Precondition) -> None:
        """Delete an object there, as a client would. As Objects.delete."""


class HomedObjects(ForwardingObjects):
    """As ObjectRules. `home` tells the site that decides for a bucket; None: this one."""

    def __init__(
        self,
        objects: ObjectRules,
        replicas: Replicas,
        home: Callable[[str], Awaitable[HomeSite | None]],
    ) -> None:
        super().__init__(objects)
        self._replicas = replicas
        self._home = home

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
        """As ObjectRules. Unavailable where the home does not answer."""
        home = await self._decider(bucket, condition)
        if home is None:
            return await super().put(bucket, key, body, facts, operation, condition=condition)
        remote = await home.write(bucket, key, body, facts, condition)
        await self._keep(remote)
        return Row(bucket, key, remote.facts)

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
        """As ObjectRules. NotSupported for a condition that is not decided here."""
        home = await self._decider(bucket, condition)
        if home:
            raise NotSupported(
                f"conditional copies into {bucket} are decided at its home, {home.name}: "
                "send the request there"
            )
        return await super().copy(source, bucket, key, decide, operation, condition=condition)

    async def delete(
        self, bucket: str, key: str, operation: str, *, condition: Precondition = UNCONDITIONAL
    ) -> None:
        """As ObjectRules. Unavailable where the home does not answer."""
        home = await self._decider(bucket, condition)
        if home:
            await home.remove(bucket, key, condition)
        else:
            await super().delete(bucket, key, operation, condition=condition)

    async def _decider(self, bucket: str, condition: Precondition) -> HomeSite | None:
        return None if condition == UNCONDITIONAL else await self._home(bucket)

    async def _keep(self, remote: Remote) -> None:
        """Have it here when the client asks next; where that fails, replication brings it.

        The home sends it, too: while it does, this waits for that.
        """
        place = f"{remote.bucket}/{remote.key}"
        for pause in PAUSES:
            try:
                await self._replicas.put(remote.bucket, remote.key, Transfer(remote), remote.facts)
            except Busy:
                await asyncio.sleep(pause)
            except BackendError as error:
                log.warning("not fetched yet", object=place, error=str(error))
                return
            else:
                return
        log.warning("not fetched yet: it is being written", object=place)
