"""The document of a key: all that must change together, in one document that changes at once.

Its fields, each left out where there is nothing: `live` (the row, and the id of the bucket that it
was committed to), `tombstone`, `intents`, `uploads`, `events` (that have no number yet),
`discards`, and `ended` (uploads that are over and whose parts may still be there). `revision` is a
new id with each change, never one that was there before: what was read can be compared and set.
"""

from collections.abc import Sequence
from typing import Any, Final

from bson import ObjectId
from msgspec import Struct, json

from backends.fingerprint import fingerprint_of
from backends.model import Checksum, Entry, Event, Facts, Intent, Row, Upload, Version
from backends.state.mongo.connection import Document

FACTS: Final = json.Decoder(Facts)
INTENT: Final = json.Decoder(Intent)
UPLOAD: Final = json.Decoder(Upload)
EVENT: Final = json.Decoder(Event)
ENCODER: Final = json.Encoder()
HALF: Final = 32
NO_CHECKSUM: Final = Checksum("", "")
ENTRY: Final = ("stamp", "size", "etag", "owner", "storage_class", "algorithm", "checksum_kind")
FIELDS: Final = ("live", "tombstone", "intents", "uploads", "events", "discards", "ended")


class Live(Struct, frozen=True):
    """The current row, and the bucket it is in: one of the same name may come after it."""

    bucket_id: ObjectId
    row: Row


class Buried(Struct, frozen=True):
    """A tombstone's version, and since when it is here, in milliseconds."""

    version: Version
    since: int


class Begun(Struct, frozen=True):
    """A multipart upload, and the bucket that it began in."""

    bucket_id: ObjectId
    upload: Upload


class Waiting(Struct, frozen=True):
    """An event that has no number yet. `name` is its own, among all events ever."""

    name: ObjectId
    event: Event


class Dropped(Struct, frozen=True):
    """Bytes that no row names any more, since when."""

    locator: str
    since: int


class Key(Struct, frozen=True):
    """What a document says of a key; a key without a document is an empty one."""

    bucket: str
    key: str
    live: Live | None = None
    tombstone: Buried | None = None
    intents: tuple[Intent, ...] = ()
    uploads: tuple[Begun, ...] = ()
    events: tuple[Waiting, ...] = ()
    discards: tuple[Dropped, ...] = ()
    ended: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.bucket}/{self.key}"

    @property
    def highest(self) -> int:
        """The highest stamp that was written or promised."""
        versions = [intent.version for intent in self.intents]
        versions += [self.live.row.version] if self.live else []
        versions += [self.tombstone.version] if self.tombstone else []
        return max((version.stamp for version in versions), default=0)

    def live_in(self, bucket_id: ObjectId | None) -> Row | None:
        """The current row, if it is in that bucket."""
        return self.live.row if self.live and self.live.bucket_id == bucket_id else None


def id_of(bucket: str, key: str) -> str:
    """What a key's document is called: by bucket, then by the bytes of the key."""
    return f"{bucket}/{key}"


def parted(document_id: str) -> tuple[str, str]:
    """The bucket and the key of a document; a bucket's name has no slash."""
    bucket, _, key = document_id.partition("/")
    return bucket, key


def fields_of(key: Key) -> Document:
    """The fields of the key's document that are not empty."""
    written = {
        "live": _live_fields(key.live) if key.live else None,
        "tombstone": _buried_fields(key, key.tombstone) if key.tombstone else None,
        "intents": [
            {**_version_fields(one.version), "expires": one.expires, "intent": text_of(one)}
            for one in key.intents
        ],
        "uploads": [
            {
                "bucket": one.bucket_id,
                "name": one.upload.name,
                "started": one.upload.started,
                "upload": text_of(one.upload),
            }
            for one in key.uploads
        ],
        "events": [
            {"name": one.name, "stamp": one.event.version.stamp, "event": text_of(one.event)}
            for one in key.events
        ],
        "discards": [{"locator": one.locator, "since": one.since} for one in key.discards],
        "ended": list(key.ended),
    }
    return {field: value for field, value in written.items() if value}


def key_of(document: Document) -> Key:
    """What the document says; fields that were not read are empty."""
    bucket, key = parted(document["_id"])
    live, tombstone = document.get("live"), document.get("tombstone")
    return Key(
        bucket,
        key,
        Live(live["bucket"], row_of(bucket, key, live)) if live else None,
        _buried_of(tombstone) if tombstone else None,
        tuple(INTENT.decode(one["intent"]) for one in document.get("intents", ())),
        tuple(
            Begun(one["bucket"], UPLOAD.decode(one["upload"]))
            for one in document.get("uploads", ())
        ),
        tuple(Waiting(one["name"], EVENT.decode(one["event"])) for one in events_of(document)),
        tuple(Dropped(one["locator"], one["since"]) for one in document.get("discards", ())),
        tuple(document.get("ended", ())),
    )


def events_of(document: Document) -> Sequence[Document]:
    """The events that wait in it, as they are kept."""
    events: Sequence[Document] = document.get("events", ())
    return events


def row_of(bucket: str, key: str, live: Document) -> Row:
    return Row(bucket, key, FACTS.decode(live["facts"]), live["locator"])


def entry_of(document: Document) -> Entry:
    """What a listing shows of it."""
    live = document["live"]
    return Entry(parted(document["_id"])[1], *(live[field] for field in ENTRY))


def inventory_row(document: Document) -> Row:
    """The newest row: the live one, else the tombstone."""
    bucket, key = parted(document["_id"])
    if live := document.get("live"):
        return row_of(bucket, key, live)
    return tombstone_of(bucket, key, _version_of(document["tombstone"]))


def tombstone_of(bucket: str, key: str, version: Version) -> Row:
    """The row of a deleted key."""
    return Row(bucket, key, Facts(version), deleted=True)


def fingerprint_fields(row: Row) -> dict[str, int]:
    """Its fingerprint in halves: the server's sum of whole ones would not be exact."""
    high, low = divmod(fingerprint_of(row), 1 << HALF)
    return {"low": low, "high": high}


def text_of(noun: Struct) -> str:
    """The noun as text that its decoder reads, and people do."""
    return ENCODER.encode(noun).decode()


def _live_fields(live: Live) -> dict[str, Any]:
    facts = live.row.facts
    checksum = facts.checksum or NO_CHECKSUM
    return {
        "bucket": live.bucket_id,
        **_version_fields(facts.version),
        "size": facts.size,
        "etag": facts.etag,
        "owner": facts.owner,
        "storage_class": facts.storage_class,
        "algorithm": checksum.algorithm,
        "checksum_kind": checksum.kind.value if checksum.algorithm else "",
        "locator": live.row.locator,
        "facts": text_of(facts),
        **fingerprint_fields(live.row),
        **({"expires": facts.expires} if facts.expires else {}),
    }


def _buried_fields(key: Key, buried: Buried) -> dict[str, Any]:
    row = tombstone_of(key.bucket, key.key, buried.version)
    return {
        **_version_fields(buried.version),
        "since": buried.since,
        **fingerprint_fields(row),
    }


def _buried_of(fields: Document) -> Buried:
    """One that a release wrote that did not keep since when counts from its version."""
    version = _version_of(fields)
    return Buried(version, fields.get("since", version.milliseconds))


def _version_fields(version: Version) -> dict[str, Any]:
    return {"stamp": version.stamp, "site": version.site}


def _version_of(fields: Document) -> Version:
    return Version(fields["stamp"], fields["site"])
