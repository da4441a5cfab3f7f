"""Events as S3's notification records, the form that other tools read already: docs/events.md.

Our version, site and operation id stand in an object of their own beside S3's fields. No I/O.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus, unquote_plus

from msgspec import MsgspecError, Struct, json

from backends.errors import Corrupt
from backends.model import STAMP_DIGITS, Event, Version

EVENT_VERSION: Final = "2.1"
READABLE: Final = "2."
SOURCE: Final = "aws:s3"
REGION: Final = "us-east-1"
REMOVED: Final = ("ObjectRemoved:", "LifecycleExpiration:")
LAST_SECOND: Final = 253_402_300_799  # the end of the year 9999: ISO 8601 has none behind it


class Identity(Struct, frozen=True, rename="camel"):
    """Who it was: an event of ours does not say, but readers expect the field."""

    principal_id: str = ""


class BucketPart(Struct, frozen=True, rename="camel"):
    """The bucket of a record."""

    name: str
    owner_identity: Identity = Identity()
    arn: str = ""


class ObjectPart(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The object of a record: its key encoded as in a form, no size where it is gone."""

    key: str
    sequencer: str
    size: int | None = None
    e_tag: str | None = None


class Subject(
    Struct,
    frozen=True,
    kw_only=True,
    rename={
        "schema": "s3SchemaVersion",
        "configuration": "configurationId",
        "about": "object",
    },
):
    """What a record is about."""

    schema: str = "1.0"
    configuration: str = ""
    bucket: BucketPart
    about: ObjectPart


class Request(Struct, frozen=True, rename={"address": "sourceIPAddress"}):
    """Where the request came from: not told."""

    address: str = ""


class Response(Struct, frozen=True, rename={"operation": "x-amz-request-id", "host": "x-amz-id-2"}):
    """What the request that made the change was answered with."""

    operation: str = ""
    host: str = ""


class Extension(Struct, frozen=True):
    """What S3 has no field for."""

    version: str
    site: str
    operation: str = ""


class Record(Struct, frozen=True, kw_only=True, rename="camel"):
    """One change. The fields stand in S3's order, ours behind them."""

    event_version: str
    event_source: str = SOURCE
    aws_region: str = REGION
    event_time: str = ""
    event_name: str
    user_identity: Identity = Identity()
    request_parameters: Request = Request()
    response_elements: Response = Response()
    s3: Subject
    clone_cloud_store: Extension


class Message(Struct, frozen=True, rename="pascal"):
    """The payload of a message: always one record, in a list as S3 has it."""

    records: tuple[Record, ...]


ENCODER: Final = json.Encoder()
DECODER: Final = json.Decoder(Message)


def encode(event: Event, *, region: str = REGION) -> bytes:
    """The event as a message; `region` is the one of the gateway that tells it."""
    record = Record(
        event_version=EVENT_VERSION,
        aws_region=region,
        event_time=_written(event.made),
        event_name=event.name,
        response_elements=Response(event.operation),
        s3=Subject(
            bucket=BucketPart(event.bucket, arn=f"arn:aws:s3:::{event.bucket}"),
            about=_object_of(event),
        ),
        clone_cloud_store=Extension(str(event.version), event.version.site, event.operation),
    )
    return ENCODER.encode(Message((record,)))


def decode(message: bytes) -> Event:
    """The event that `encode` wrote; Corrupt for anything else. Fields it does not know pass."""
    try:
        [record] = DECODER.decode(message).records
        return _event_of(record)
    except (MsgspecError, ValueError) as error:
        raise Corrupt(f"not a record of an event: {error}") from error


def key_of(event: Event) -> bytes:
    """What messages are partitioned by: those of one object stay in their order."""
    return f"{event.bucket}/{event.key}".encode()


def _object_of(event: Event) -> ObjectPart:
    key = quote_plus(event.key, safe="/")
    sequencer = _sequencer(event.version)
    if event.name.startswith(REMOVED) and not event.size and not event.etag:
        return ObjectPart(key, sequencer)
    return ObjectPart(key, sequencer, event.size, event.etag)


def _event_of(record: Record) -> Event:
    version = Version.parse(record.clone_cloud_store.version)
    about = record.s3.about
    if not record.event_version.startswith(READABLE):
        raise ValueError(f"version {record.event_version} of the format")
    if (about.sequencer, record.clone_cloud_store.site) != (_sequencer(version), version.site):
        raise ValueError(f"sequencer and site are not of the version {version}")
    return Event(
        record.event_name,
        record.s3.bucket.name,
        unquote_plus(about.key, errors="strict"),
        version,
        about.size or 0,
        about.e_tag or "",
        record.clone_cloud_store.operation,
        _apart(record.event_time, version),
    )


def _apart(written: str, version: Version) -> int:
    """When it happened, where that is another time than its version's; else 0."""
    if not written or written == _written(version.milliseconds):
        return 0
    moment = datetime.fromisoformat(written)
    return round(moment.timestamp() * 1000)


def _sequencer(version: Version) -> str:
    return f"{version.stamp:0{STAMP_DIGITS}X}"


def _written(milliseconds: int) -> str:
    """ISO 8601 as S3 writes it: 2013-05-24T00:00:00.000Z."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(min(seconds, LAST_SECOND))}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
