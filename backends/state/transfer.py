"""One state's facts into another: safe to repeat, so that a broken run is simply started again.

Both must be at rest: what is written meanwhile may be missing in the copy.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from msgspec import json

from backends.bounded import bounded
from backends.errors import AlreadyExists, Busy, Corrupt
from backends.model import Bucket, Row, Upload
from backends.state.protocol import StateStore

PAGE: Final = 1000
AT_ONCE: Final = 256
ENCODER: Final = json.Encoder(order="deterministic")
DIGEST_BYTES: Final = 16
DIGEST_MODULUS: Final = 1 << (8 * DIGEST_BYTES)

Tell = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows there are, tombstones included, and a digest that forgets their order."""

    rows: int = 0
    digest: int = 0

    def with_row(self, row: Row) -> "Tally":
        """The tally of one row more."""
        told = int.from_bytes(blake2b(ENCODER.encode(row), digest_size=DIGEST_BYTES).digest())
        return Tally(self.rows + 1, (self.digest + told) % DIGEST_MODULUS)


async def copy_state(source: StateStore, target: StateStore, tell: Tell) -> dict[str, Tally]:
    """Copy keys, groups, buckets, rows and uploads; the tally of each bucket, verified.

    `tell` hears of each bucket's rows as they are done. Busy where the source is not at rest;
    AlreadyExists where the target holds something else; Corrupt where both differ in the end.
    """
    await require_rest(source)
    for key in await source.keys():
        await target.put_key(key)
    for group in await source.groups():
        await target.subscribe(group)
    tallies: dict[str, Tally] = {}
    async for bucket in every_bucket(source):
        await _take(bucket, target)
        await _copy_uploads(source, target, bucket.name)
        tallies[bucket.name] = await _copy_rows(source, target, bucket.name, tell)
        await _verify(target, bucket.name, tallies[bucket.name])
    return tallies


async def require_rest(source: StateStore) -> None:
    """Return if nothing is under way: no promise open, no event unread. Busy."""
    open_promises = await source.unsettled()
    if open_promises:
        raise Busy(
            f"the state has {open_promises} writes under way or left by a crash: start a gateway"
            " on it until they are settled (state.lease_seconds), stop it and try again"
        )
    for group in await source.groups():
        if await source.unread(group, after=0, limit=1):
            raise Busy(f"the group {group} has not read all events: let it, then try again")


async def every_bucket(state: StateStore) -> AsyncIterator[Bucket]:
    """All buckets, by name."""
    after = ""
    while page := await state.every_bucket(after=after, limit=PAGE):
        for bucket in page:
            yield bucket
        after = page[-1].name


async def inventory(state: StateStore, bucket: str) -> AsyncIterator[list[Row]]:
    """All rows of a bucket, by key, page by page."""
    after = ""
    while page := await state.inventory(bucket, after=after, limit=PAGE):
        yield page
        after = page[-1].key


async def tally_of(state: StateStore, bucket: str) -> Tally:
    """What a bucket's rows amount to."""
    tally = Tally()
    async for page in inventory(state, bucket):
        for row in page:
            tally = tally.with_row(row)
    return tally


async def _take(bucket: Bucket, target: StateStore) -> None:
    found = await target.create_bucket(bucket)
    if found != bucket:
        raise AlreadyExists(
            f"the target has a bucket {bucket.name} of its own, made for {found.owner}: "
            "copy into an empty state"
        )


async def _copy_rows(source: StateStore, target: StateStore, bucket: str, tell: Tell) -> Tally:
    tally = Tally()
    async for page in inventory(source, bucket):
        await bounded(lambda row: target.commit(row, None), page, at_once=AT_ONCE)
        for row in page:
            tally = tally.with_row(row)
        tell(bucket, tally.rows)
    return tally


async def _copy_uploads(source: StateStore, target: StateStore, bucket: str) -> None:
    after = ("", "")
    while page := await source.uploads(bucket, prefix="", after=after, limit=PAGE):
        for upload in page:
            await _copy_upload(source, target, upload)
        after = (page[-1].key, page[-1].name)


async def _copy_upload(source: StateStore, target: StateStore, upload: Upload) -> None:
    await target.create_upload(upload)
    place = (upload.bucket, upload.key, upload.name)
    for part in await source.parts(*place):
        await target.put_part(*place, part)


async def _verify(target: StateStore, bucket: str, expected: Tally) -> None:
    found = await tally_of(target, bucket)
    if found != expected:
        raise Corrupt(
            f"{bucket}: the copy has {found.rows} rows where the source has {expected.rows}, "
            "or other ones: copy into an empty state while no gateway writes"
        )
