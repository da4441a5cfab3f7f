"""A way through all that sites are to share: what differs, by bucket and key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct

from backends.bounded import bounded
from backends.clock import milliseconds
from backends.errors import BackendError, BucketNotFound, NotFound, Refused
from backends.ranges import range_of
from backends.state.protocol import StateStore
from backends.state.transfer import every_bucket
from reconcile.comparison.compare import compare
from reconcile.comparison.counting import objects_in
from reconcile.comparison.holders import StateHolder, row_there
from reconcile.jobs.patterns import is_pattern, matches
from reconcile.sites.plan import Change, Planner, Wants
from replication.client import Link, SiteClient
from replication.documents import OWN, SHARED, SYSTEM, Documents
from replication.messages import Listed
from replication.ranges import listed
from replication.topology import BUCKETS, Site, SiteState, Topology

CONFIRMED: Final = 1000
AT_ONCE: Final = 16
ALL: Final = "*"


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be made alike: buckets and sites by names or patterns, keys by their beginning.

    With a `source` only what that site has goes out. Nothing is changed where more than
    `max_deletes` objects would be deleted.
    """

    buckets: tuple[str, ...] = (ALL,)
    prefix: str = ""
    sites: tuple[str, ...] = (ALL,)
    source: str = ""
    max_deletes: Annotated[int, Meta(ge=0)] = 1000

    @property
    def is_everything(self) -> bool:
        """Whether all that sites share is compared, both ways."""
        return self.buckets == (ALL,) and not self.prefix and not self.source


class Walked(NamedTuple):
    """All of a bucket up to the key `upto` was looked at, `objects` of ours; `is_last`: all of it.

    `changes` are to be made, those of one key together, in the order of keys; between us and
    `sites`.
    """

    bucket: str
    upto: str
    objects: int
    changes: Sequence[Sequence[Change]]
    sites: Sequence[str]
    is_last: bool = False


class Walk:
    """From the site `home`. Tombstones older than `keep` milliseconds may be purged anywhere.

    `refresh` has the topology looked up at once: another process may have changed it just now.
    """

    def __init__(
        self,
        home: str,
        state: StateStore,
        link: Link,
        topology: Callable[[], Topology],
        refresh: Callable[[], Awaitable[None]],
        *,
        keep: int,
    ) -> None:
        self._home = home
        self._state = state
        self._link = link
        self._topology = topology
        self.refresh = refresh
        self._keep = keep

    def sites(self, order: Order) -> dict[str, SiteClient]:
        """Those that are meant, by name. NotFound, Refused: which are not there."""
        now = milliseconds()
        others = {
            name: site
            for name, site in self._topology().sites.items()
            if name != self._home and site.state is not SiteState.REMOVED
        }
        for name in (*order.sites, order.source):
            _require_known(name, {*others, self._home})
        chosen = [site for site in others.values() if _means(order, site, now)]
        if order.source not in {"", self._home, *(site.name for site in chosen)}:
            raise Refused(f"the source {order.source} is none of the sites that are to be compared")
        if not chosen:
            raise Refused(
                "there is no other site to compare with: `ccs site list` shows them, and one that"
                " is paused must be named"
            )
        return {site.name: self._link.to(site.name, site.endpoint) for site in chosen}

    async def require(self, order: Order) -> None:
        """Return if there are such sites and buckets. NotFound, Refused: which are not there."""
        await self.refresh()
        clients = self.sites(order)
        known = await self._known()
        for name in order.buckets:
            if not is_pattern(name) and name not in known and not await _has_any(clients, name):
                raise NotFound(f"there is no bucket {name}, neither here nor at the other sites")

    def sends_deletes(self) -> bool:
        """Whether no rule leaves at a site what is deleted elsewhere."""
        topology = self._topology()
        every = [*topology.rules, *chain.from_iterable(topology.bucket_rules.values())]
        return all(rule.deletes for rule in every)

    def client(self, name: str) -> SiteClient:
        """A site by its name. NotFound."""
        site = self._topology().sites.get(name)
        if site is None:
            raise NotFound(f"there is no site {name}: `ccs site list` shows those there are")
        return self._link.to(name, site.endpoint)

    async def count(self, order: Order) -> int:
        """How many objects of ours it has to look at."""
        within = range_of(order.prefix)
        names = await self.buckets(order)
        return sum([await objects_in(self._state, name, within) for name in names])

    async def since(
        self, order: Order, bucket: str, after: str, before: int, *, by_rules: bool = True
    ) -> AsyncIterator[Walked]:
        """From a key of a bucket on, to the end of all buckets; rows older than `before` alone.

        `by_rules`: sites need not have what the rules do not send them.
        """
        wants = self._wants if by_rules else _everywhere
        for name in await self.buckets(order):
            if name >= bucket:
                start = after if name == bucket else ""
                clients = self._sharing(order, name) if by_rules else self.sites(order)
                walked = self._bucket(order, name, start, before, clients, wants(name))
                async for one in walked:
                    yield one

    async def confirmed(
        self, order: Order, walked: Walked, *, pauses: Sequence[float] = (0.0,)
    ) -> Sequence[Sequence[Change]]:
        """The changes that remain when looked at once more: replication goes on meanwhile.

        There is a look after each of the `pauses`, in seconds, while something remains.
        """
        left = walked.changes
        for pause in pauses if len(left) <= CONFIRMED else ():
            await asyncio.sleep(pause if left else 0)
            looked = await bounded(partial(self._again, order, walked), left, at_once=AT_ONCE)
            left = [changes for changes in looked if changes]
        return left

    async def _again(
        self, order: Order, walked: Walked, changes: Sequence[Change]
    ) -> Sequence[Change]:
        """What is to be done about a key now."""
        bucket, key, clients = walked.bucket, changes[0].key, self.sites(order)
        held = {name: await row_there(clients[name], bucket, key) for name in walked.sites}
        held[self._home] = await self._here(bucket, key)
        return self._planner(order).changes(key, held, self._wants(bucket))

    async def _bucket(
        self,
        order: Order,
        bucket: str,
        after: str,
        before: int,
        clients: Mapping[str, SiteClient],
        wants: Wants,
    ) -> AsyncIterator[Walked]:
        planner = self._planner(order)
        pages = compare(
            StateHolder(self._state, self._home),
            tuple(clients.values()),
            bucket,
            before=before,
            buried_since=planner.since,
            within=range_of(order.prefix),
            after=after,
        )
        sites, upto = tuple(clients), after
        async with aclosing(pages):
            async for compared in pages:
                upto = compared.upto or upto
                found = (planner.changes(key, held, wants) for key, held in compared.unlike.items())
                changes = [one for one in found if one]
                yield Walked(bucket, upto, compared.objects, changes, sites)
        yield Walked(bucket, upto, 0, (), sites, is_last=True)

    def _sharing(self, order: Order, bucket: str) -> Mapping[str, SiteClient]:
        """The sites that are to have anything of the bucket."""
        topology = self._topology()
        return {
            name: client
            for name, client in self.sites(order).items()
            if bucket == SHARED or topology.shares(bucket, name)
        }

    def _planner(self, order: Order) -> Planner:
        return Planner(self._home, order.source, milliseconds() - self._keep)

    def _wants(self, bucket: str) -> Wants:
        topology = self._topology()

        def wants(key: str, site: str, deleted: bool) -> bool:
            return topology.sends(bucket, key, site, deleted=deleted)

        return wants

    async def buckets(self, order: Order) -> list[str]:
        """Those that are meant, by name: ours, and those of which the sites tell."""
        named = {name for name in order.buckets if not is_pattern(name)}
        known = await self._known() - SYSTEM
        meant = {name for name in known if matches(name, order.buckets)} | named
        everything = {SHARED} if ALL in order.buckets and not order.prefix else set()
        return sorted((meant - {OWN}) | everything)

    async def _known(self) -> set[str]:
        """The buckets that are here, and those of which the sites tell."""
        ours = {bucket.name async for bucket in every_bucket(self._state)}
        shared = Documents(self._state, SHARED)
        told = {found.name.removeprefix(BUCKETS) async for found in shared.each(BUCKETS)}
        return (ours | told) - {OWN}

    async def _here(self, bucket: str, key: str) -> Listed | None:
        try:
            row = await self._state.newest(bucket, key)
        except BucketNotFound:
            return None
        return listed(row) if row else None


def _everywhere(_: str) -> Wants:
    return lambda _key, _site, _deleted: True


async def _has_any(sites: Mapping[str, SiteClient], bucket: str) -> bool:
    """Whether a site tells of the bucket; one that does not answer may."""
    for site in sites.values():
        try:
            if await row_there(site, SHARED, BUCKETS + bucket):
                return True
        except BackendError:
            return True
    return False


def _require_known(pattern: str, names: set[str]) -> None:
    if pattern and not any(fnmatchcase(name, pattern) for name in names):
        if ALL in pattern:
            raise Refused("there is no other site to compare with: `ccs site list` shows them")
        raise NotFound(f"there is no site {pattern}: `ccs site list` shows those there are")


def _means(order: Order, site: Site, now: int) -> bool:
    """A paused site is only meant where it is named."""
    return site.name in order.sites or (site.takes(now) and matches(site.name, order.sites))
