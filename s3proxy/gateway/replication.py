"""What a client may know and choose of replication: its buckets' rules, its objects' progress."""

from collections.abc import Awaitable, Callable, Iterable

from backends.errors import NotFound, NotSupported, Refused
from backends.model import Row
from replication.documents import Documents
from replication.status import Statuses
from replication.topology import BUCKET_RULES, BUCKETS, BucketFacts, BucketRules, Topology


class Replication:
    """Over the documents all sites share; `topology` is in force, `changed` looks it up again."""

    def __init__(
        self,
        shared: Documents,
        statuses: Statuses,
        topology: Callable[[], Topology],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._shared = shared
        self._statuses = statuses
        self._topology = topology
        self._changed = changed

    async def status(self, row: Row) -> str:
        """How far an object has come, as S3 tells it; "" where it goes to no site."""
        return await self._statuses.object_status(row, self._topology()) or ""

    async def require_decision(self, bucket: str) -> None:
        """Return if conditions on the bucket's objects are decided here. NotSupported."""
        home = (await self._shared.read(BUCKETS + bucket, BucketFacts)).home
        if home not in {"", self._statuses.home}:
            raise NotSupported(
                f"conditional completions in {bucket} are decided at its home, {home}: upload there"
            )

    async def configuration(self, bucket: str) -> BucketRules | None:
        """The bucket's own rules; None where those for all buckets hold."""
        try:
            return await self._shared.read(BUCKET_RULES + bucket, BucketRules)
        except NotFound:
            return None

    async def configure(self, bucket: str, rules: BucketRules | None) -> None:
        """Give the bucket rules of its own, or none any more."""
        if rules is None:
            await self._shared.drop(BUCKET_RULES + bucket)
        else:
            await self._shared.put(BUCKET_RULES + bucket, rules)
        await self._changed()

    async def require_sites(self, names: Iterable[str]) -> None:
        """Return if there are such sites. Refused."""
        known = self._topology().sites
        for name in names:
            if name != "*" and name not in known:
                raise Refused(f"there is no site {name}")
