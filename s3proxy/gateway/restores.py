"""Objects on their way from other sites into our storage: one transfer of a key at a time."""

import asyncio
from typing import Final

import structlog

from backends.errors import BackendError, Corrupt
from s3proxy.gateway.elsewhere import Remote
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.transfer import Transfer

log: Final = structlog.get_logger("restore")


class Restores:
    """Transfers begin only while `run` runs, and end with it."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._group: asyncio.TaskGroup | None = None
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Carry transfers until cancelled; those under way are given up then."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None

    def begin(
        self, remote: Remote, *, again: bool = False, listened: bool = False
    ) -> Transfer | None:
        """Fetch the object and keep it; None where that is under way already, or cannot begin.

        With `again` its row is here, and the bytes of that are gone. With `listened` somebody reads
        what is `served`, and must leave in the end.
        """
        place = (remote.bucket, remote.key)
        if self._group is None or place in self._under_way:
            return None
        transfer = Transfer(remote, listened=listened)
        task = self._group.create_task(self._restore(remote, transfer, again=again))
        self._under_way[place] = task
        task.add_done_callback(lambda _: self._under_way.pop(place))
        return transfer

    async def wait(self, bucket: str, key: str, seconds: float) -> None:
        """Return when no transfer of the key is under way, or after so many seconds."""
        task = self._under_way.get((bucket, key))
        if task:
            await asyncio.wait([task], timeout=seconds)

    async def _restore(self, remote: Remote, transfer: Transfer, *, again: bool) -> None:
        """Keep what comes; where a site sends wrong bytes, what the next one has."""
        failed = await self._kept(remote, transfer, again=again)
        others = remote.elsewhere() if isinstance(failed, Corrupt) else None
        if others:
            await self._restore(others, Transfer(others), again=again)

    async def _kept(
        self, remote: Remote, transfer: Transfer, *, again: bool
    ) -> BackendError | None:
        """Why it could not be kept; None where it is here now, or something newer is."""
        name = f"{remote.bucket}/{remote.key}"
        failed: BackendError | None = None
        try:
            kept = await self._replicas.put(
                remote.bucket, remote.key, transfer, remote.facts, again=again
            )
            log.info("restored" if kept else "newer here than elsewhere", object=name)
        except BackendError as error:
            failed = error
            log.warning("not restored", object=name, error=str(error))
        finally:
            transfer.end(failed)
        return failed
