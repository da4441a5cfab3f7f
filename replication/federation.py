"""The sites together: added, changed and removed here, known to all of them soon after."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import AlreadyExists, NotFound, Refused
from backends.model import Event, Precondition
from backends.state.protocol import StateStore
from replication import backfill
from replication.bandwidth import Limit
from replication.buckets import change_bucket
from replication.client import Link, SiteClient
from replication.documents import OWN, SHARED, Documents, value_at
from replication.messages import Hello
from replication.parked import Parked, Parking
from replication.push import Push
from replication.status import Statuses, TargetStatus
from replication.topology import (
    BUCKETS,
    PROTOCOL,
    RULES,
    SITES,
    BucketFacts,
    Rule,
    Site,
    SiteState,
    group_of,
    site_in,
)

IDENTITY: Final = "identity"
ABSENT: Final = Precondition(none_match="*")


class Identity(Struct, frozen=True):
    """What tells this site from one that has the same name."""

    id: str


async def identity_in(state: StateStore) -> str:
    """The id of this site, made where it has none; the system buckets are made, too."""
    own = Documents(state, OWN)
    for documents in (own, Documents(state, SHARED)):
        await documents.prepare()
    known = await value_at(own, IDENTITY, Identity, Identity(""))
    if known.id:
        return known.id
    await own.put(IDENTITY, Identity(uuid.uuid4().hex), condition=ABSENT)
    return (await own.read(IDENTITY, Identity)).id


@dataclass(frozen=True, slots=True)
class OurSite:
    """Our site, as the others are to know it. `clock` is how many milliseconds clocks may differ.

    `keep` lets the changes from now on be kept for a consumer group, `forget` ends that. `changed`
    hears that the topology is another one.
    """

    name: str
    id: str
    endpoint: str
    clock: int
    keep: Callable[[str], Awaitable[None]]
    forget: Callable[[str], Awaitable[None]]
    changed: Callable[[], Awaitable[None]]


class Federation:
    """What operators do with sites."""

    def __init__(
        self, state: StateStore, link: Link, home: OurSite, push: Push, statuses: Statuses
    ) -> None:
        self._state = state
        self._shared = Documents(state, SHARED)
        self._own = Documents(state, OWN)
        self._parking = Parking(self._own)
        self._link = link
        self._home = home
        self._push = push
        self._statuses = statuses

    async def sites(self) -> list[Site]:
        """All of them, this one too, by name."""
        return await self._shared.values(SITES, Site)

    async def site(self, name: str) -> Site:
        """NotFound."""
        return await site_in(self._shared, name)

    async def add(self, endpoint: str, *, read_priority: int = 0) -> Site:
        """Get to know the site at that address, and let it know all that sites share.

        AlreadyExists where another site has its name or id; Refused where it speaks another
        protocol or its clock is off; SiteAway, AccessDenied.
        """
        site = await self._greeted(endpoint)
        await self._require_new(site)
        await self._register_home()
        await self._home.keep(group_of(site.name))
        site = replace(site, read_priority=read_priority, added=milliseconds())
        await backfill.again(self._own, site.name)
        await self._put(SITES + site.name, site)
        await self._spread(self._client(site))
        return site

    async def change(
        self,
        name: str,
        *,
        state: SiteState | None = None,
        read_priority: int | None = None,
        endpoint: str | None = None,
        resume_at: int | None = None,
        bandwidth: Sequence[Limit] | None = None,
    ) -> Site:
        """Change what is given. NotFound; Refused for a site that was removed."""
        site = await self.site(name)
        if site.state is SiteState.REMOVED:
            raise Refused(f"the site {name} was removed: add it again")
        given: dict[str, Any] = {
            "state": state,
            "read_priority": read_priority,
            "endpoint": endpoint,
            "resume_at": resume_at,
            "bandwidth": None if bandwidth is None else tuple(bandwidth),
        }
        changed = replace(
            site, **{field: value for field, value in given.items() if value is not None}
        )
        await self._put(SITES + name, changed)
        return changed

    async def remove(self, name: str) -> None:
        """Shut it out: nothing it sends is applied any more, nothing is sent to it. NotFound.

        What it has stays there, and what the others have here.
        """
        site = await self.site(name)
        if name == self._home.name:
            raise Refused(f"{name} is this site: remove it at another one")
        await self._put(SITES + name, replace(site, state=SiteState.REMOVED))
        await self._home.forget(group_of(name))

    async def bucket(self, name: str) -> BucketFacts | None:
        """What sites share of a bucket; None where it was never told."""
        return await value_at(self._shared, BUCKETS + name, BucketFacts, None)

    async def change_bucket(
        self, name: str, *, home: str | None = None, remote_read: str | None = None
    ) -> BucketFacts:
        """Change what is given of how sites share a bucket. NotFound.

        `home` decides on conditional writes, `remote_read` says what is done about what is missing;
        "" leaves it to each site.
        """
        if home:
            await self.site(home)
        given = {"home": home, "remote_read": remote_read}
        fresh = {field: value for field, value in given.items() if value is not None}
        facts = await change_bucket(self._shared, name, **fresh)
        await self._home.changed()
        return facts

    async def rules(self) -> list[Rule]:
        """What goes where, by name; nothing: everything goes everywhere."""
        return await self._shared.values(RULES, Rule)

    async def put_rule(self, rule: Rule) -> None:
        """Add it, or replace the one of its name."""
        await self._put(RULES + rule.name, rule)

    async def drop_rule(self, name: str) -> None:
        """NotFound."""
        if not await self._shared.drop(RULES + name):
            raise NotFound(f"there is no rule {name}")
        await self._home.changed()

    async def sync(self, name: str) -> None:
        """Send the site all that is here once more, in the background. NotFound."""
        await self.site(name)
        await backfill.again(self._own, name)

    async def status(self) -> list[TargetStatus]:
        """How replication from here stands, by site."""
        return await self._statuses.of(await self.sites())

    async def pending(self, name: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        """Changes with numbers above `after` that wait for the site. NotFound."""
        await self.site(name)
        return await self._statuses.pending(name, after=after, limit=limit)

    async def dead_letters(self, name: str) -> list[Parked]:
        """What was given up for the site, by object. NotFound."""
        await self.site(name)
        return await self._parking.of(name)

    async def retry(self, name: str, bucket: str = "", key: str = "") -> int:
        """Send what was given up, all of it or one object's; how many arrived. As SiteClient."""
        client = self._client(await self.site(name))
        arrived = 0
        for parked in self._chosen(await self._parking.of(name), bucket, key):
            await self._push.event(parked.event, client)
            await self._parking.settle(name, parked.event.bucket, parked.event.key)
            arrived += 1
        return arrived

    async def drop(self, name: str, bucket: str = "", key: str = "") -> int:
        """Forget what was given up, all of it or one object's; how many those were."""
        await self.site(name)
        chosen = self._chosen(await self._parking.of(name), bucket, key)
        for parked in chosen:
            await self._parking.settle(name, parked.event.bucket, parked.event.key)
        return len(chosen)

    async def _put(self, name: str, value: Any) -> None:
        await self._shared.put(name, value)
        await self._home.changed()

    def _chosen(self, parked: Sequence[Parked], bucket: str, key: str) -> list[Parked]:
        return [
            letter
            for letter in parked
            if bucket in {"", letter.event.bucket} and key in {"", letter.event.key}
        ]

    async def _greeted(self, endpoint: str) -> Site:
        """The site that answers there, if it suits us."""
        asked = milliseconds()
        hello = await self._link.to(UNKNOWN, endpoint).hello()
        require_compatible(hello, asked=asked, answered=milliseconds(), clock=self._home.clock)
        return Site(hello.name, endpoint.rstrip("/"), hello.id)

    async def _require_new(self, site: Site) -> None:
        home = self._home
        if site.id == home.id:
            raise AlreadyExists(f"{site.endpoint} is this site itself, or a copy of its state")
        if site.name == home.name:
            raise AlreadyExists(
                f"the site at {site.endpoint} is called {site.name}, as this one is"
            )
        for known in await self.sites():
            same = (known.name == site.name, known.id == site.id)
            if any(same) and not all(same) and known.state is not SiteState.REMOVED:
                raise AlreadyExists(
                    f"the site {known.name} at {known.endpoint} has that name or that id already"
                )

    async def _register_home(self) -> None:
        home = self._home
        wanted = Site(home.name, home.endpoint, home.id, added=milliseconds())
        known = await value_at(self._shared, SITES + home.name, Site, wanted)
        if known is wanted or (known.id, known.endpoint) != (home.id, home.endpoint):
            await self._shared.put(SITES + home.name, wanted)

    async def _spread(self, client: SiteClient) -> None:
        """Send all shared documents, so that the site knows who we are before anything else."""
        for document in await self._shared.under(""):
            row = await self._state.newest(SHARED, document.name)
            if row:
                await self._push.row(row, client)

    def _client(self, site: Site) -> SiteClient:
        return self._link.to(site.name, site.endpoint)


UNKNOWN: Final = ""


def require_compatible(hello: Hello, *, asked: int, answered: int, clock: int) -> None:
    """Return if the site speaks as we do and its clock is near ours; Refused. In milliseconds."""
    if hello.protocol != PROTOCOL:
        raise Refused(
            f"the site {hello.name} speaks version {hello.protocol} of the protocol between sites, "
            f"this one {PROTOCOL}: bring both to one release"
        )
    off = max(asked - hello.now, hello.now - answered, 0)
    if off > clock:
        raise Refused(
            f"the clock of the site {hello.name} is {off} ms off ours, {clock} ms are allowed: "
            "set both by NTP (sites.clock_seconds)"
        )
