"""Which sites there are, and who gets what. No I/O but that of the documents it is kept in."""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from backends.errors import NotFound
from replication.bandwidth import Limit
from replication.documents import OWN, SHARED, Documents

PROTOCOL: Final = 1
SITES: Final = "sites/"
RULES: Final = "rules/"
BUCKETS: Final = "buckets/"
BUCKET_RULES: Final = "bucket-rules/"
ANY: Final = ("*",)


class SiteState(StrEnum):
    """What is done with a site.

    ACTIVE: sent to and read from. PAUSED: changes wait for it. DRAINED: still sent to, but not read
    from any more. REMOVED: nothing is sent to it, and nothing it sends is applied.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    DRAINED = "drained"
    REMOVED = "removed"


class Site(Struct, frozen=True, omit_defaults=True):
    """A site, as all sites know it.

    `endpoint` is where its site listener is. Sites of a lower `read_priority` are asked first for
    what is missing elsewhere. `added` and `resume_at` are in milliseconds; a paused site goes on by
    itself at `resume_at`, unless that is 0. `bandwidth` is what each other site keeps
    to towards it.
    """

    name: str
    endpoint: str
    id: str = ""
    state: SiteState = SiteState.ACTIVE
    read_priority: int = 0
    added: int = 0
    resume_at: int = 0
    bandwidth: tuple[Limit, ...] = ()

    def takes(self, now: int) -> bool:
        """Whether changes are sent to it at that time, in milliseconds."""
        if self.state is SiteState.PAUSED:
            return 0 < self.resume_at <= now
        return self.state is not SiteState.REMOVED

    def gives(self, now: int) -> bool:
        """Whether it is asked for what is missing elsewhere."""
        return self.takes(now) and self.state is not SiteState.DRAINED


class Rule(Struct, frozen=True, omit_defaults=True):
    """What goes where: objects of such buckets, under one of the prefixes, to such sites.

    `buckets` and `sites` are names or patterns (*, ?, [a-z]). Without any enabled rule everything
    goes to every site. Without `deletes` what is removed here stays there.
    """

    name: str
    buckets: tuple[str, ...] = ANY
    prefixes: tuple[str, ...] = ("",)
    sites: tuple[str, ...] = ANY
    enabled: bool = True
    deletes: bool = True

    def covers(self, bucket: str, key: str | None, site: str, *, deleted: bool = False) -> bool:
        """Whether the object goes to the site by this rule; without a key: anything of a bucket."""
        return (
            self.enabled
            and (self.deletes or not deleted)
            and _any(bucket, self.buckets)
            and _any(site, self.sites)
            and (key is None or key.startswith(self.prefixes))
        )


class BucketRules(Struct, frozen=True, omit_defaults=True):
    """Rules of one bucket alone, in the place of those for all; `role` is kept for its writer."""

    rules: tuple[Rule, ...]
    role: str = ""


class BucketFacts(Struct, frozen=True, omit_defaults=True):
    """A bucket, as all sites know it. `created` is in milliseconds.

    `home` is the site that decides on conditional writes; "" is the one that is asked.
    `remote_read` says whether what is missing is read elsewhere: "off", "read" or "restore"; "" is
    as each site does.
    """

    owner: str
    created: int
    region: str = ""
    home: str = ""
    remote_read: str = ""


class Topology(Struct, frozen=True):
    """Sites by name, the rules for all buckets and those of single ones, at one moment."""

    sites: dict[str, Site]
    rules: tuple[Rule, ...] = ()
    bucket_rules: dict[str, tuple[Rule, ...]] = {}

    def sends(self, bucket: str, key: str, site: str, *, deleted: bool = False) -> bool:
        """Whether a change of that object, or its delete, goes to the site."""
        if bucket == OWN:
            return False
        if bucket != SHARED:
            return self._covers(bucket, key, site, deleted=deleted)
        named = key.removeprefix(BUCKETS)
        return named == key or self.shares(named, site)

    def shares(self, bucket: str, site: str) -> bool:
        """Whether anything of the bucket goes to the site."""
        return self._covers(bucket, None, site, deleted=False)

    def _covers(self, bucket: str, key: str | None, site: str, *, deleted: bool) -> bool:
        own = self.bucket_rules.get(bucket)
        if own is not None:
            return any(rule.covers(bucket, key, site, deleted=deleted) for rule in own)
        enabled = [rule for rule in self.rules if rule.enabled]
        return not enabled or any(
            rule.covers(bucket, key, site, deleted=deleted) for rule in enabled
        )


async def topology_in(shared: Documents) -> Topology:
    """As the documents have it now."""
    sites = await shared.values(SITES, Site)
    rules = await shared.values(RULES, Rule)
    own = {
        document.name.removeprefix(BUCKET_RULES): document.value(BucketRules).rules
        for document in await shared.under(BUCKET_RULES)
    }
    return Topology({site.name: site for site in sites}, tuple(rules), own)


async def sites_in(shared: Documents) -> frozenset[str]:
    """The names of all sites that were not removed."""
    sites = await shared.values(SITES, Site)
    return frozenset(site.name for site in sites if site.state is not SiteState.REMOVED)


async def site_in(shared: Documents, name: str) -> Site:
    """NotFound, in words for an operator."""
    try:
        return await shared.read(SITES + name, Site)
    except NotFound as error:
        raise NotFound(f"there is no site {name}: `ccs site list` shows those there are") from error


def group_of(site: str) -> str:
    """The consumer group of the changes that go to a site."""
    return f"site-{site}"


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
