"""The form in which events leave: S3's, and ours beside it."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends.errors import Corrupt
from backends.events import records
from backends.model import Event, Version

NOON = 1_700_000_000_123
NAMES = ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "ObjectRemoved:Delete"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
EVENTS = st.builds(
    Event,
    st.sampled_from(NAMES),
    st.from_regex(r"[a-z0-9][a-z0-9.-]{2,20}", fullmatch=True),
    TEXT.filter(bool),
    st.builds(Version, st.integers(0, 2**64 - 1), st.from_regex(r"[a-z0-9-]+", fullmatch=True)),
    st.integers(0, 5 * 2**40),
    st.from_regex(r"([0-9a-f]{32}(-[0-9]{1,5})?)?", fullmatch=True),
    TEXT,
)
PUT = Event(
    "ObjectCreated:Put",
    "photos",
    "summer 2025/cat+dog.jpg",
    Version((NOON << 16) + 5, "berlin"),
    1024,
    "d41d8cd98f00b204e9800998ecf8427e",
    "REQUEST1",
)


def written(event: Event, **how: str) -> dict[str, Any]:
    """The one record of the message."""
    [record] = json.loads(records.encode(event, **how))["Records"]
    assert isinstance(record, dict)
    return record


def altered(path: str, value: object) -> bytes:
    """The message of PUT with one field changed, or without it where the value is None."""
    message = json.loads(records.encode(PUT))
    *way, last = path.split(".")
    place = message["Records"][0]
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(message).encode()


@given(event=EVENTS)
@example(event=PUT)
@example(event=Event("ObjectRemoved:Delete", "photos", "+%2F %", Version(0, "-")))
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    assert records.decode(records.encode(event)) == event


def test_a_record_has_what_s3_puts_into_one() -> None:
    assert written(PUT, region="eu-central-1") == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2023-11-14T22:13:20.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": ""},
        "requestParameters": {"sourceIPAddress": ""},
        "responseElements": {"x-amz-request-id": "REQUEST1", "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "",
            "bucket": {
                "name": "photos",
                "ownerIdentity": {"principalId": ""},
                "arn": "arn:aws:s3:::photos",
            },
            "object": {
                "key": "summer+2025/cat%2Bdog.jpg",
                "sequencer": "018BCFE5687B0005",
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            },
        },
        "cloneCloudStore": {
            "version": "018bcfe5687b0005-berlin",
            "site": "berlin",
            "operation": "REQUEST1",
        },
    }


def test_an_object_that_is_gone_has_no_size_and_no_etag() -> None:
    record = written(Event("ObjectRemoved:Delete", "photos", "cat", Version(1, "here")))

    assert record["s3"]["object"] == {"key": "cat", "sequencer": "0000000000000001"}


def test_an_empty_object_has_a_size() -> None:
    record = written(Event("ObjectCreated:Put", "photos", "cat", Version(1, "here")))

    assert record["s3"]["object"]["size"] == 0


@given(one=EVENTS, other=EVENTS)
def test_sequencers_are_ordered_as_stamps_are(one: Event, other: Event) -> None:
    first, second = (written(event)["s3"]["object"]["sequencer"] for event in (one, other))

    assert (first < second) == (one.version.stamp < other.version.stamp)


def test_fields_that_are_not_known_pass() -> None:
    message = json.loads(altered("s3.object.versionId", "null"))
    message["Records"][0]["cloneCloudStore"]["more"] = 1
    message["Sender"] = "somebody"

    assert records.decode(json.dumps(message).encode()) == PUT


def test_an_older_reader_takes_a_later_minor_version() -> None:
    assert records.decode(altered("eventVersion", "2.4")) == PUT


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"cat",
        b"{}",
        b'{"Records": []}',
        b'{"Records": [{}]}',
        b"\xff\xfe",
        altered("cloneCloudStore", None),
        altered("cloneCloudStore.version", "5"),
        altered("cloneCloudStore.version", 5),
        altered("cloneCloudStore.site", "elsewhere"),
        altered("s3.object.sequencer", "00"),
        altered("s3.object.key", "%FF"),
        altered("s3.object.size", "many"),
        altered("eventVersion", "3.0"),
        records.encode(PUT)[:-1],
    ],
)
def test_another_message_is_no_event(message: bytes) -> None:
    with pytest.raises(Corrupt, match="not a record of an event"):
        records.decode(message)


def test_a_message_of_two_records_is_not_ours() -> None:
    [record] = json.loads(records.encode(PUT))["Records"]

    with pytest.raises(Corrupt):
        records.decode(json.dumps({"Records": [record, record]}).encode())


def test_the_events_of_an_object_have_one_key() -> None:
    assert records.key_of(PUT) == b"photos/summer 2025/cat+dog.jpg"


def test_what_came_to_its_end_tells_when() -> None:
    version = Version(5 << 16, "berlin").end
    event = Event("LifecycleExpiration:Delete", "photos", "cat", version, at=NOON)

    record = written(event)

    assert record["eventTime"] == "2023-11-14T22:13:20.123Z"
    assert "size" not in record["s3"]["object"]
    assert records.decode(records.encode(event)) == event
