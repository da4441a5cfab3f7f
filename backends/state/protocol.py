"""What a state store must do. Every verb is one transaction and durable when it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from backends.model import (
    UNCONDITIONAL,
    AccessKey,
    Bucket,
    Discard,
    Entry,
    Event,
    Intent,
    KeyRange,
    Part,
    Precondition,
    RangeDigest,
    Row,
    Upload,
    Version,
)


class Due(NamedTuple):
    """Where an object stands in the order of expiry: when it ends (ms), and its place."""

    expires: int
    bucket: str
    key: str


FIRST_DUE: Final = Due(0, "", "")


@dataclass(frozen=True, slots=True)
class Committed:
    """How a commit ended. `won` is False where a newer version was there already.

    `replaced` is the live row that this commit took the place of. `row` is what the state will
    tell of the object from now on, where that is not the row it was given.
    """

    won: bool
    replaced: Row | None = None
    row: Row | None = None


class StateStore(Protocol):
    """Keeps facts. Raises only `backends.errors`.

    Keys are ordered by their UTF-8 bytes. Uploads are ordered by (key, name), buckets by name.
    Events reach the outbox only while some group subscribes.
    """

    async def ping(self) -> None:
        """Return if the store answers; Unavailable says why not."""

    # Buckets

    async def create_bucket(self, bucket: Bucket) -> Bucket:
        """Insert it; where the name is taken, change nothing. The bucket that is there now."""

    async def bucket(self, name: str) -> Bucket:
        """BucketNotFound."""

    async def buckets(self, owner: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
        """The owner's buckets with names above `after`."""

    async def every_bucket(self, *, after: str, limit: int) -> list[Bucket]:
        """Whoever owns them, with names above `after`, by name."""

    async def delete_bucket(self, name: str) -> list[Upload]:
        """Remove an empty bucket; its uploads end with it and are returned.

        BucketNotFound; NotEmpty while a live object is in it.
        """

    # Objects

    async def find(self, bucket: str, key: str) -> Row:
        """The newest row of the key, unless it is a tombstone. BucketNotFound, NotFound."""

    async def newest(self, bucket: str, key: str) -> Row | None:
        """The newest row of the key, a tombstone too; None where there is neither. BucketNotFound.

        A tombstone that was purged is not there any more.
        """

    async def page(self, bucket: str, *, prefix: str, after: str, limit: int) -> list[Entry]:
        """Live objects with keys above `after`, read by index. BucketNotFound."""

    async def inventory(self, bucket: str, *, after: str, limit: int, upto: str = "") -> list[Row]:
        """The newest row of each key above `after`, tombstones included, by key, read by index.

        Keys above `upto` are left out, unless that is "". BucketNotFound.
        """

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        """What each range of keys amounts to, read from an index of fingerprints.

        Rows as new as `before` are left out, and tombstones older than `buried_since`, both by
        their version, in milliseconds. BucketNotFound; NotSupported where there is no such index.
        """

    async def split(self, bucket: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        """The first `limit` keys at which pieces of the range end, read from an index.

        A piece has `every` objects at most, and as many tombstones; what lies above the last key is
        one more. No key where the range has less than that. BucketNotFound; NotSupported as
        `digests`.
        """

    async def begin(
        self,
        bucket: str,
        key: str,
        *,
        lease: int,
        upload: str = "",
        condition: Precondition = UNCONDITIONAL,
        alone: bool = False,
        deletes: bool = False,
        version: Version | None = None,
        again: bool = False,
    ) -> Intent:
        """Promise a write for `lease` milliseconds, under a version above all others of the key.

        The condition is checked here so that a hopeless body need not be sent; `commit` decides.
        With `alone` no other intent of the key is `alone` until this one is committed or dropped:
        Busy while there is one. `deletes` promises that the key's bytes go.
        With `version` the write is a replica, promised under exactly that: Superseded where the
        newest row or tombstone of the key has it or a higher one, Busy while another intent has it.
        With `again` the row of that version is here, and its bytes are to be stored anew:
        Superseded unless it is the key's newest, and no tombstone. NotSupported where rows are
        nothing but what lies in the storage.
        BucketNotFound; UploadNotFound where `upload` is named and not there.
        """

    async def restamp(self, intent: Intent, *, lease: int, alone: bool = False) -> Intent:
        """The same promise under a new version, above all others of the key. Unavailable if lost.

        The last writer to finish wins: a long body takes its version when it has arrived.
        With `alone` as in `begin`; the condition is then checked again. A replica keeps its
        version; with `alone` it is Superseded as in `begin`.
        """

    async def is_changing(self, bucket: str, key: str) -> bool:
        """Whether some writer has the key alone, so that its bytes may be others than its row's."""

    async def renew(self, intent: Intent, *, lease: int) -> Intent:
        """The same intent, held for `lease` milliseconds from now. Unavailable if it was lost."""

    async def commit(
        self,
        row: Row,
        event: Event | None,
        *,
        intent: Intent | None = None,
        condition: Precondition = UNCONDITIONAL,
        upload: str = "",
        overwrote: bool = False,
    ) -> Committed:
        """Make `row` the key's current one if its version is the highest; the intent ends.

        The intent, where given, must still be there with the same `expires`: Unavailable says that
        its lease ran out and that a worker took it.

        A tombstone is a row like any other, also where no object is. Row and event are written
        together, or neither; without an event nobody is told. With `upload`, that upload ends too.
        The bytes of the row that was replaced become a discard, unless the storage `overwrote`
        them.
        Where the row did not win nothing changes and the intent stays: the caller drops the bytes,
        then the intent. A second commit of the same version changes nothing and has won.
        Where the intent is one to store bytes `again`, the row of that version gets the locator of
        `row`, and nothing else of it changes; it has not won where that is no longer the newest.
        BucketNotFound; PreconditionFailed and NotFound as the condition says: nothing changes, the
        intent stays.
        """

    async def bury(
        self,
        bucket: str,
        key: str,
        event_name: str,
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
        intent: Intent | None = None,
    ) -> Row | None:
        """Write a tombstone above all versions of the key, with its event; the row it removed.

        None, and no tombstone, where there was nothing. The removed bytes become a discard, unless
        an `intent` to delete says that they are gone; it ends here, and must not have been lost.
        BucketNotFound; PreconditionFailed or NotFound as the condition says.
        """

    # Multipart uploads

    async def create_upload(self, upload: Upload) -> None:
        """BucketNotFound."""

    async def upload(self, bucket: str, key: str, name: str) -> Upload:
        """UploadNotFound."""

    async def uploads(
        self, bucket: str, *, prefix: str, after: tuple[str, str], limit: int
    ) -> list[Upload]:
        """Uploads above (key, name) `after`; BucketNotFound.

        A name of "" starts at the key's first upload, one of U+10FFFF behind its last.
        """

    async def put_part(self, bucket: str, key: str, name: str, part: Part) -> Part | None:
        """Record a part; the one of the same number that it replaced. UploadNotFound."""

    async def parts(
        self, bucket: str, key: str, name: str, *, after: int = 0, limit: int = 10_000
    ) -> list[Part]:
        """Parts with numbers above `after`. UploadNotFound."""

    async def delete_upload(self, bucket: str, key: str, name: str) -> None:
        """UploadNotFound."""

    # What a crash left to do

    async def claim_expired_intents(self, *, lease: int, limit: int) -> list[Intent]:
        """Take over intents whose lease ran out, oldest first, for `lease` milliseconds.

        No commit or renewal of theirs succeeds from then on but the claimer's, who passes the
        intent as it is returned here (with its new `expires`).
        """

    async def drop_intent(self, intent: Intent) -> None:
        """Forget it; one that is gone is no error."""

    async def unsettled(self) -> int:
        """How many intents there are, expired or not."""

    async def discards(self, *, older_than: int, limit: int) -> list[Discard]:
        """Bytes to drop that were given up more than `older_than` milliseconds ago."""

    async def drop_discards(self, discards: Sequence[Discard]) -> None:
        """Forget them once the storage has dropped the bytes."""

    async def purge_tombstones(self, *, older_than: int, limit: int) -> int:
        """Remove tombstones that were written here more than so many milliseconds ago.

        One whose event some group has not read stays. What a release wrote that did not keep when
        counts from its version.
        """

    async def expired(self, *, after: Due, limit: int) -> list[Row]:
        """Live objects whose own `expires` is over, above `after` in the order of Due, by index."""

    async def forget_expired(self) -> None:
        """Drop what is only remembered of objects that `expired` would not find any more."""

    async def stale_uploads(self, *, older_than: int, limit: int, prefix: str = "") -> list[Upload]:
        """Uploads begun more than `older_than` milliseconds ago whose names begin with `prefix`."""

    # The outbox

    async def subscribe(self, group: str) -> None:
        """From now on keep events for `group`; again is no error."""

    async def unsubscribe(self, group: str) -> None:
        """Keep none for it any more."""

    async def groups(self) -> list[str]:
        """Those that subscribe, by name."""

    async def unread(self, group: str, *, after: int, limit: int) -> list[tuple[int, Event]]:
        """Events the group has not acknowledged, with sequence numbers above `after`."""

    async def acknowledge(self, group: str, sequence: int) -> None:
        """The group is done with every event up to `sequence`; what all are done with goes."""

    # Leases and keys

    async def acquire(self, name: str, holder: str, *, lease: int) -> bool:
        """Whether `holder` now has the lease, for so many milliseconds; renews its own."""

    async def put_key(self, key: AccessKey) -> None:
        """Add a key, or replace the one of the same name."""

    async def key(self, access_key: str) -> AccessKey:
        """NotFound."""

    async def keys(self) -> list[AccessKey]:
        """All of them, by access key."""

    async def drop_key(self, access_key: str) -> None:
        """Remove a key. NotFound."""

    async def close(self) -> None:
        """Finish what is queued, then let go."""
