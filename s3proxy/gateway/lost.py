"""Objects whose bytes this site lost, stored again from another site."""

from backends.errors import Corrupt
from backends.model import Row
from s3proxy.gateway.elsewhere import Elsewhere, Remote
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.transfer import Transfer


class LostObjects:
    """As reconcile.storages.remedies.Restores."""

    def __init__(self, elsewhere: Elsewhere, replicas: Replicas) -> None:
        self._elsewhere = elsewhere
        self._replicas = replicas

    async def restore(self, row: Row) -> bool:
        """Store the bytes of the row again, its facts unchanged, or a newer version of the object.

        False where no other site has either. Corrupt where none has the right bytes.
        """
        remote = await self._elsewhere.find(row.bucket, row.key)
        if remote is None or remote.facts.version < row.version:
            return False
        return await self._put(remote, again=remote.facts.version == row.version)

    async def _put(self, remote: Remote, *, again: bool) -> bool:
        """From the best site; where that sends wrong bytes, from the next one."""
        try:
            return await self._replicas.put(
                remote.bucket, remote.key, Transfer(remote), remote.facts, again=again
            )
        except Corrupt:
            following = remote.elsewhere()
            if following is None:
                raise
        return await self._put(following, again=again)
