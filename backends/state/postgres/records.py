"""Records of the server, to and from our nouns."""

from typing import Any, Final, NamedTuple

from asyncpg import Record
from msgspec import json
from msgspec.structs import replace

from backends.model import Checksum, Event, Facts, Intent, Precondition, Row, Upload, Version
from backends.preconditions import require

FACTS: Final = json.Decoder(Facts)
INTENT: Final = json.Decoder(Intent)
UPLOAD: Final = json.Decoder(Upload)
EVENT: Final = json.Decoder(Event)
ENCODER: Final = json.Encoder()
NO_CHECKSUM: Final = Checksum("", "")
BEHIND_ALL: Final = b"\xff"  # no UTF-8 begins with it


class Range(NamedTuple):
    """The names that a page may have: above `after`, from `first` on, below `end`."""

    after: bytes
    first: bytes
    end: bytes


def names_above(prefix: str, after: str) -> Range:
    """The names above `after` that begin with the prefix."""
    first = prefix.encode()
    end = first[:-1] + bytes([first[-1] + 1]) if first else BEHIND_ALL
    return Range(after.encode(), first, end)


def row_of(bucket: str, key: str, locator: str, facts: bytes) -> Row:
    """A live row."""
    return Row(bucket, key, FACTS.decode(facts), locator)


def tombstone_of(bucket: str, key: str, stamp: int, site: str) -> Row:
    """The row of a deleted key."""
    return Row(bucket, key, Facts(Version(stamp, site)), deleted=True)


def intent_of(record: Record) -> Intent:
    """An intent; what its columns say is newer than what it was written with."""
    intent = INTENT.decode(record["intent"])
    version = Version(record["stamp"], record["site"])
    return replace(
        intent,
        version=version,
        expires=record["expires"],
        begun=intent.begun or version,
    )


def event_of(record: Record) -> Event:
    """An event, under the version that its columns say."""
    version = Version(record["stamp"], record["site"])
    return replace(EVENT.decode(record["event"]), version=version)


def require_of(condition: Precondition, facts: bytes | None, what: str) -> None:
    """Return if the condition holds of these facts of a live row, if there is one."""
    require(condition, FACTS.decode(facts) if facts is not None else None, what)


def columns(questions: Any) -> list[list[Any]]:
    """The arrays of a call: one for each field of its questions."""
    return [list(column) for column in zip(*questions, strict=True)]
