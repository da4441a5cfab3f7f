"""What becomes of a key: pure functions from what its document says to what it will say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bson import ObjectId
from msgspec.structs import replace

from backends.errors import BucketNotFound, Busy, Unavailable, UploadNotFound
from backends.model import UNCONDITIONAL, Facts, Intent, Precondition, Row, Upload, Version
from backends.preconditions import require, require_current, require_newer
from backends.state.mongo.documents import Begun, Buried, Dropped, Key, Live, Waiting
from backends.state.protocol import Committed

Above = Callable[[int], Version]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a writer promises; as `StateStore.begin`."""

    expires: int
    upload: str = ""
    condition: Precondition = UNCONDITIONAL
    alone: bool = False
    deletes: bool = False
    version: Version | None = None
    again: bool = False


class Write(NamedTuple):
    """What a writer commits; as `StateStore.commit`. `event` is None where nobody is to be told."""

    row: Row
    event: Waiting | None
    intent: Intent | None
    condition: Precondition
    upload: str
    overwrote: bool


def newest(key: Key, bucket_id: ObjectId | None) -> Row | None:
    """The live row in that bucket, else the tombstone, if there is one."""
    if live := key.live_in(bucket_id):
        return live
    if key.tombstone is None:
        return None
    return Row(key.bucket, key.key, Facts(key.tombstone.version), deleted=True)


def begin(key: Key, bucket_id: ObjectId, wish: Wish, above: Above) -> tuple[Key, Intent]:
    """Promise a write under a version above all others, or under the one that is wished."""
    if wish.version:
        _require_rank(key, bucket_id, wish.version, again=wish.again)
        _require_unpromised(key, wish.version)
    if wish.alone:
        _require_nobody(key)
    if wish.upload:
        find_upload(key, bucket_id, wish.upload)
    _require(key, bucket_id, wish.condition)
    version = wish.version or above(key.highest)
    intent = Intent(
        key.bucket,
        key.key,
        version,
        expires=wish.expires,
        upload=wish.upload,
        condition=wish.condition,
        begun=version,
        alone=wish.alone,
        deletes=wish.deletes,
        replica=wish.version is not None,
        again=wish.again,
    )
    return replace(key, intents=(*key.intents, intent)), intent


def restamp(
    key: Key, bucket_id: ObjectId | None, intent: Intent, above: Above, *, expires: int, alone: bool
) -> tuple[Key, Intent]:
    """The same promise under a new version, if it is no replica's."""
    _require_intent(key, intent)
    if alone and not intent.alone:
        if intent.replica:
            _require_rank(key, bucket_id, intent.version, again=intent.again)
        _require_nobody(key)
        _require(key, bucket_id, intent.condition)
    version = intent.version if intent.replica else above(key.highest)
    held = replace(intent, version=version, expires=expires, alone=alone or intent.alone)
    return replace(key, intents=(*_others(key, intent.version), held)), held


def renew(key: Key, intent: Intent, *, expires: int) -> tuple[Key, Intent]:
    """The same promise for longer."""
    _require_intent(key, intent)
    held = replace(intent, expires=expires)
    return replace(key, intents=(*_others(key, intent.version), held)), held


def drop(key: Key, version: Version) -> tuple[Key, None]:
    """The key without the promise of that version."""
    return replace(key, intents=_others(key, version)), None


def claim(key: Key, *, now: int, expires: int, limit: int) -> tuple[Key, list[Intent]]:
    """Take over its intents that ran out, the oldest `limit` of them."""
    expired = sorted(
        (one for one in key.intents if one.expires <= now), key=lambda one: one.expires
    )
    claimed = {one.version: replace(one, expires=expires) for one in expired[:limit]}
    intents = tuple(claimed.get(one.version, one) for one in key.intents)
    return replace(key, intents=intents), list(claimed.values())


def commit(key: Key, bucket_id: ObjectId, write: Write, *, now: int) -> tuple[Key, Committed]:
    """Make the row the current one if its version is the highest."""
    row, live = write.row, key.live_in(bucket_id)
    if write.intent and write.intent.again:
        return _relocate(key, live, write, write.intent, now=now)
    there = newest(key, bucket_id)
    if there and there.version == row.version:
        return key, Committed(won=True)
    if write.intent:
        _require_intent(key, write.intent)
    require(write.condition, live.facts if live else None, key.place)
    if there and there.version > row.version:
        return key, Committed(won=False)
    changed = _put(key, bucket_id, row, now=now, discards=not write.overwrote)
    changed = tell(changed, write.event)
    if write.upload:
        changed = end_uploads(changed, lambda begun: begun.upload.name == write.upload)
    return changed, Committed(won=True, replaced=live)


def bury(
    key: Key,
    bucket_id: ObjectId,
    above: Above,
    told: Callable[[Version], Waiting | None],
    *,
    condition: Precondition,
    intent: Intent | None,
    now: int,
) -> tuple[Key, Row | None]:
    """Put a tombstone above all versions, if there is anything to bury."""
    live = _require(key, bucket_id, condition)
    if intent:
        _require_intent(key, intent)
        key = replace(key, intents=_others(key, intent.version))
    if live is None:
        return key, None
    tombstone = Row(key.bucket, key.key, Facts(above(key.highest)), deleted=True)
    buried = _put(key, bucket_id, tombstone, now=now, discards=intent is None)
    return tell(buried, told(tombstone.version)), live


def tell(key: Key, event: Waiting | None) -> Key:
    return replace(key, events=(*key.events, event)) if event else key


def tell_late(key: Key, event: Waiting) -> tuple[Key, None]:
    """Tell of a version that was written while nobody subscribed, unless it is there no more."""
    there = newest(key, key.live.bucket_id if key.live else None)
    return tell(key, event) if there and there.version == event.event.version else key, None


def take_back(key: Key, before: Key, write: Write) -> tuple[Key, None]:
    """Undo a commit to a bucket that went meanwhile: its row, its event, the end of its intent.

    A later commit may be in its place by now: that one has taken it back.
    """
    if not key.live or key.live.row.version != write.row.version:
        return key, None
    events = tuple(one for one in key.events if one != write.event)
    intents = (*key.intents, *((write.intent,) if write.intent else ()))
    return (
        replace(key, live=None, tombstone=before.tombstone, events=events, intents=intents),
        None,
    )


def abandon_row(key: Key, bucket_id: ObjectId, *, now: int) -> tuple[Key, None]:
    """Without a row that was left in a bucket that went, and that nobody saw; its bytes go."""
    gone = key.live_in(bucket_id)
    if gone is None:
        return key, None
    return replace(key, live=None, discards=_discards(key, gone.locator, now)), None


def abandon_uploads(key: Key, bucket_id: ObjectId) -> tuple[Key, list[Upload]]:
    """Without the uploads of a bucket that went; these."""
    uploads = [one.upload for one in key.uploads if one.bucket_id == bucket_id]
    return end_uploads(key, lambda begun: begun.bucket_id == bucket_id), uploads


def create_upload(key: Key, bucket_id: ObjectId, upload: Upload) -> tuple[Key, None]:
    others = tuple(one for one in key.uploads if one.upload.name != upload.name)
    return replace(key, uploads=(*others, Begun(bucket_id, upload))), None


def find_upload(key: Key, bucket_id: ObjectId | None, name: str) -> Upload:
    """The upload of that name. UploadNotFound."""
    for one in key.uploads:
        if one.upload.name == name and one.bucket_id == bucket_id:
            return one.upload
    raise UploadNotFound(f"{key.place}: there is no upload {name}")


def delete_upload(key: Key, name: str) -> tuple[Key, None]:
    """End the upload, even one that its bucket left behind. UploadNotFound."""
    ended = end_uploads(key, lambda begun: begun.upload.name == name)
    if ended == key:
        raise UploadNotFound(f"{key.place}: there is no upload {name}")
    return ended, None


def forget_upload(key: Key, name: str) -> tuple[Key, None]:
    """Undo `create_upload`."""
    kept = tuple(one for one in key.uploads if one.upload.name != name)
    return replace(key, uploads=kept), None


def end_uploads(key: Key, is_over: Callable[[Begun], bool]) -> Key:
    """Without them; that their parts are to go is remembered."""
    over = tuple(one.upload.name for one in key.uploads if is_over(one))
    kept = tuple(one for one in key.uploads if not is_over(one))
    return replace(key, uploads=kept, ended=(*key.ended, *over))


def forget_ended(key: Key, names: tuple[str, ...]) -> tuple[Key, None]:
    """Their parts are gone."""
    return replace(key, ended=tuple(one for one in key.ended if one not in names)), None


def purge(key: Key, *, before: int) -> tuple[Key, bool]:
    """Without its tombstone, if that was here before then and no event of it waits."""
    if key.tombstone is None or key.tombstone.since >= before or key.events:
        return key, False
    return replace(key, tombstone=None), True


def require_bucket(bucket_id: ObjectId | None, name: str) -> ObjectId:
    if bucket_id is None:
        raise BucketNotFound(f"there is no bucket {name}")
    return bucket_id


def _relocate(
    key: Key, live: Row | None, write: Write, intent: Intent, *, now: int
) -> tuple[Key, Committed]:
    """Give the live row other bytes, if it is of just that version; the intent ends."""
    row = write.row
    current = live if live and live.version == row.version else None
    if current and current.locator == row.locator:
        return drop(key, row.version)[0], Committed(won=True)
    _require_intent(key, intent)
    if current is None or key.live is None:
        return key, Committed(won=False)
    moved = replace(current, locator=row.locator)
    changed = _put(key, key.live.bucket_id, moved, now=now, discards=not write.overwrote)
    return changed, Committed(won=True, replaced=current)


def _put(key: Key, bucket_id: ObjectId, row: Row, *, now: int, discards: bool) -> Key:
    """The row in the place of what is there, with the version's intent fulfilled.

    With `discards` the bytes of what was there are to go; else they are gone.
    """
    old = key.live.row.locator if key.live else ""
    dropped = _discards(key, old, now) if discards else key.discards
    return replace(
        key,
        live=None if row.deleted else Live(bucket_id, row),
        tombstone=Buried(row.version, now) if row.deleted else None,
        intents=_others(key, row.version),
        discards=tuple(one for one in dropped if one.locator != row.locator),
    )


def _discards(key: Key, locator: str, now: int) -> tuple[Dropped, ...]:
    """With those bytes among them."""
    if not locator:
        return key.discards
    others = tuple(one for one in key.discards if one.locator != locator)
    return (*others, Dropped(locator, now))


def _others(key: Key, version: Version) -> tuple[Intent, ...]:
    return tuple(one for one in key.intents if one.version != version)


def _require(key: Key, bucket_id: ObjectId | None, condition: Precondition) -> Row | None:
    live = key.live_in(bucket_id)
    require(condition, live.facts if live else None, key.place)
    return live


def _require_nobody(key: Key) -> None:
    """Return if no writer has the key alone."""
    if any(intent.alone for intent in key.intents):
        raise Busy(f"{key.place} is being written by another client")


def _require_rank(key: Key, bucket_id: ObjectId | None, version: Version, *, again: bool) -> None:
    """Return if the version is above that of the newest row; with `again`, if it is that."""
    allow = require_current if again else require_newer
    allow(newest(key, bucket_id), version, key.place)


def _require_unpromised(key: Key, version: Version) -> None:
    """Return if no other intent has the version."""
    if any(intent.version == version for intent in key.intents):
        raise Busy(f"{key.place}: {version} is being written already")


def _require_intent(key: Key, intent: Intent) -> None:
    held = {one.version: one.expires for one in key.intents}
    if held.get(intent.version) != intent.expires:
        raise Unavailable(f"{key.place}: the lease of {intent.version} ran out")
