"""What other sites have: asked of all at once, read from the best, else from the next."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Final

import structlog

from backends.clock import milliseconds
from backends.errors import BackendError, Corrupt, Unavailable
from backends.model import Facts
from replication.client import Link, SiteClient
from replication.messages import Found
from replication.topology import Site, Topology

log: Final = structlog.get_logger("replication")
GRACE_SECONDS: Final = 0.05
FIRST_BYTE_SECONDS: Final = 5.0
REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Remote:
    """An object that other sites have: its facts, and the sites, the best first.

    A site that does not begin to answer for `patience` seconds is passed over while there is
    another. Where all fail, those that may have it are tried: they did not say in time.
    """

    bucket: str
    key: str
    facts: Facts
    sites: Sequence[SiteClient]
    patience: float = FIRST_BYTE_SECONDS
    maybe: Sequence[SiteClient] = ()

    def elsewhere(self) -> "Remote | None":
        """The same without the site that is asked first; None where it is the only one."""
        if len(self.sites) > 1:
            return replace(self, sites=self.sites[1:])
        return replace(self, sites=self.maybe, maybe=()) if self.maybe else None

    async def read(self, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Those bytes; where a site breaks off, the next goes on. Unavailable where none can."""
        at, end = start, start + length
        failed: BackendError | None = None
        for site in (*self.sites, *self.maybe):
            try:
                async with aclosing(self._from(site, at, end)) as body:
                    async for block in body:
                        at += len(block)
                        yield block
                if at == end:
                    return
            except BackendError as error:
                failed = error
                log.warning("a site broke off", site=site.name, error=str(error))
        raise Unavailable(f"{self.bucket}/{self.key}: no site gives all of it") from failed

    async def _from(self, site: SiteClient, at: int, end: int) -> AsyncGenerator[bytes, None]:
        """What that one sends of them, and no more."""
        version, patience = self.facts.version, self._patience_with(site)
        async with AsyncExitStack() as answers:
            try:
                async with asyncio.timeout(patience):
                    answer = site.read(self.bucket, self.key, version, start=at, length=end - at)
                    body = await answers.enter_async_context(answer)
            except TimeoutError as error:
                raise Unavailable(f"no answer in {patience} seconds") from error
            async for block in body:
                at += len(block)
                if at > end:
                    raise Corrupt(f"{self.bucket}/{self.key}: more bytes than were asked for")
                yield block

    def _patience_with(self, site: SiteClient) -> float | None:
        return self.patience if site in self.sites[:-1] else None


class RemoteReader:
    """Looks for objects at the sites that may be read from; `topology` tells which there are.

    Times are in seconds. That no site has an object is remembered for `negative`.
    """

    def __init__(
        self, link: Link, topology: Callable[[], Topology], *, probe: float, negative: float
    ) -> None:
        self._link = link
        self._topology = topology
        self._probe = probe
        self._negative = negative
        self._absent: dict[tuple[str, str], float] = {}

    async def find(self, bucket: str, key: str) -> Remote | None:
        """The newest that the sites have, or None: also where a tombstone is newer."""
        if self._absent.get((bucket, key), 0.0) > time.monotonic():
            return None
        sites = self._sites()
        answers = await self._ask(sites, bucket, key)
        remote = self._best(bucket, key, sites, answers)
        if remote is None and len(answers) == len(sites):
            self._remember(bucket, key)
        return remote

    def _sites(self) -> list[SiteClient]:
        now = milliseconds()
        home = self._link.caller.name
        found = [site for site in self._topology().sites.values() if site.name != home]
        found = sorted((site for site in found if site.gives(now)), key=_rank)
        return [self._link.to(site.name, site.endpoint) for site in found]

    async def _ask(self, sites: Sequence[SiteClient], bucket: str, key: str) -> dict[str, Found]:
        """What each site says, until all have; once one has it, the others get a moment."""
        answers: dict[str, Found] = {}

        async def ask(site: SiteClient) -> Found | None:
            try:
                answers[site.name] = await site.find(bucket, key)
            except BackendError as error:
                log.warning("a site was passed over", site=site.name, error=str(error))
                return None
            return answers[site.name]

        waiting = {asyncio.create_task(ask(site)) for site in sites}
        until = time.monotonic() + self._probe
        try:
            while waiting and (left := until - time.monotonic()) > 0:
                done, waiting = await asyncio.wait(
                    waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
                if any(_has(task.result()) for task in done):
                    until = min(until, time.monotonic() + GRACE_SECONDS)
        finally:
            for task in waiting:
                task.cancel()
        return answers

    def _best(
        self, bucket: str, key: str, sites: Sequence[SiteClient], answers: dict[str, Found]
    ) -> Remote | None:
        """The newest version, and who has it; None where it is a tombstone."""
        known = [found for found in answers.values() if found.facts is not None]
        newest = max((found.facts.version for found in known if found.facts), default=None)
        having = [found for found in known if found.facts and found.facts.version == newest]
        if not having or having[0].deleted or having[0].facts is None:
            return None
        names = {name for name, found in answers.items() if found in having}
        best = [site for site in sites if site.name in names]
        silent = [site for site in sites if site.name not in answers]
        return Remote(bucket, key, having[0].facts, best, self._probe, silent)

    def _remember(self, bucket: str, key: str) -> None:
        if len(self._absent) >= REMEMBERED:
            self._absent.clear()
        self._absent[bucket, key] = time.monotonic() + self._negative


def _has(found: Found | None) -> bool:
    return found is not None and found.facts is not None and not found.deleted


def _rank(site: Site) -> tuple[int, str]:
    return site.read_priority, site.name
