"""What becomes of a key's document: decided without a server."""

import itertools
from collections.abc import Callable
from typing import Final, cast

import pytest
from bson import ObjectId, decode, encode
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.errors import BucketNotFound, Busy, Unavailable, UploadNotFound
from backends.model import COUNTER_BITS, UNCONDITIONAL, Event, Facts, Intent, Row, Upload, Version
from backends.state.mongo import decisions, keys
from backends.state.mongo.connection import Collection
from backends.state.mongo.decisions import Wish, Write
from backends.state.mongo.documents import (
    FIELDS,
    Begun,
    Buried,
    Dropped,
    Key,
    Live,
    Waiting,
    fields_of,
    id_of,
    key_of,
    parted,
)
from backends.state.mongo.keys import Keys, difference
from backends.state.mongo.outbox import BATCH, numbered

HERE: Final = ObjectId()
GONE: Final = ObjectId()
EMPTY: Final = Key("photos", "cat")
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VERSIONS: Final = st.builds(Version, st.integers(0, 2**62), TEXTS)
INTENTS: Final = st.builds(
    Intent,
    st.just("photos"),
    st.just("cat"),
    VERSIONS,
    st.integers(0, 2**60),
    upload=TEXTS,
    alone=st.booleans(),
)
UPLOADS: Final = st.builds(
    Upload, st.just("photos"), st.just("cat"), TEXTS, TEXTS, st.integers(0, 2**50), TEXTS
)
ROWS: Final = st.builds(
    Row,
    st.just("photos"),
    st.just("cat"),
    st.builds(Facts, VERSIONS, metadata=st.dictionaries(TEXTS, TEXTS, max_size=2)),
    TEXTS,
)
EVENTS: Final = st.builds(Event, TEXTS, st.just("photos"), st.just("cat"), VERSIONS)


def few(of: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(of, max_size=2).map(tuple)


KEYS: Final = st.builds(
    Key,
    st.just("photos"),
    TEXTS.map(lambda text: f"k/{text}"),
    live=st.none(),
    tombstone=st.none() | st.builds(Buried, VERSIONS, st.integers(0, 2**50)),
    uploads=few(st.builds(Begun, st.just(HERE), UPLOADS)),
    events=few(st.builds(Waiting, st.just(ObjectId()), EVENTS)),
    discards=few(st.builds(Dropped, TEXTS, st.integers(0, 2**50))),
    ended=few(TEXTS),
)


def row(stamp: int, locator: str = "") -> Row:
    return Row("photos", "cat", Facts(Version(stamp, "here")), locator or f"at {stamp}")


def write(written: Row, *, intent: Intent | None = None, event: Waiting | None = None) -> Write:
    return Write(written, event, intent, UNCONDITIONAL, "", overwrote=False)


def waiting(stamp: int) -> Waiting:
    return Waiting(ObjectId(), Event("name", "photos", "cat", Version(stamp, "here")))


def above() -> Callable[[int], Version]:
    return lambda stamp: Version(stamp + 1, "here")


def begun(key: Key = EMPTY, *, alone: bool = False) -> tuple[Key, Intent]:
    return decisions.begin(key, HERE, Wish(10, alone=alone), above())


@given(key=KEYS, intents=few(INTENTS), live=st.none() | st.builds(Live, st.just(HERE), ROWS))
def test_a_document_tells_what_the_key_was(
    key: Key, intents: tuple[Intent, ...], live: Live | None
) -> None:
    whole = replace(key, intents=intents)
    if live:
        whole = replace(whole, live=Live(HERE, replace(live.row, key=key.key)))
    renamed = tuple(replace(one, upload=replace(one.upload, key=key.key)) for one in key.uploads)
    whole = replace(whole, uploads=renamed)

    document = decode(encode({"_id": id_of(key.bucket, key.key), **fields_of(whole)}))

    assert key_of(document) == whole


def test_a_document_is_called_by_bucket_and_key_in_the_order_of_bytes() -> None:
    texts = ["\x00", "/", "a", "a/", "a/b", "ab", "é", "\uffff", "\U0010ffff"]

    names = [id_of("photos", key) for key in texts]

    assert names == sorted(names, key=str.encode)
    assert [parted(name) for name in names] == [("photos", key) for key in texts]


def test_an_update_says_only_what_is_other_and_what_is_gone() -> None:
    update = difference({"live": 1, "tombstone": 2, "intents": [3]}, {"live": 1, "intents": [4]})

    assert update["$set"].pop("revision")
    assert update == {"$set": {"intents": [4]}, "$unset": {"tombstone": ""}}
    assert set(fields_of(EMPTY)) <= set(FIELDS)


def test_a_row_in_a_bucket_that_went_is_not_there_and_its_bytes_go() -> None:
    orphan = replace(EMPTY, live=Live(GONE, row(7, "orphan")))

    changed, done = decisions.commit(orphan, HERE, write(row(3)), now=5)

    assert (done.won, done.replaced) == (True, None)
    assert changed.live == Live(HERE, row(3))
    assert changed.discards == (Dropped("orphan", 5),)


def test_a_commit_taken_back_leaves_what_was_there_before_and_its_intent() -> None:
    key, intent = begun(replace(EMPTY, tombstone=Buried(Version(2, "here"), 1)))
    committed = write(row(intent.version.stamp), intent=intent, event=waiting(intent.version.stamp))
    changed, _ = decisions.commit(key, HERE, committed, now=5)
    assert (changed.live, changed.tombstone, changed.intents) != (None, key.tombstone, key.intents)

    back, _ = decisions.take_back(changed, key, committed)

    assert back == key


def test_what_came_after_a_commit_is_not_taken_back_with_it() -> None:
    first, second = write(row(1)), write(row(2))
    key, _ = decisions.commit(EMPTY, HERE, first, now=5)
    key, _ = decisions.commit(key, HERE, second, now=5)

    assert decisions.take_back(key, EMPTY, first) == (key, None)


def test_a_late_event_is_told_unless_something_newer_is_there() -> None:
    key, _ = decisions.commit(EMPTY, HERE, write(row(4)), now=5)

    told, _ = decisions.tell_late(key, event := waiting(4))
    assert told.events == (event,)
    assert decisions.tell_late(key, waiting(3)) == (key, None)


def test_a_claim_takes_the_oldest_that_ran_out_and_fences_their_writers() -> None:
    key = EMPTY
    for _ in range(3):
        key, _ = begun(key)
    expiries = (7, 5, 99)
    held = tuple(
        replace(one, expires=expires) for one, expires in zip(key.intents, expiries, strict=True)
    )

    claimed, taken = decisions.claim(replace(key, intents=held), now=7, expires=20, limit=1)

    assert [one.version for one in taken] == [held[1].version]
    assert [one.expires for one in claimed.intents] == [7, 20, 99]
    with pytest.raises(Unavailable):
        decisions.renew(claimed, held[1], expires=30)


def test_a_key_that_somebody_has_alone_is_busy() -> None:
    key, _ = begun(alone=True)

    with pytest.raises(Busy):
        begun(key, alone=True)
    begun(key)


def test_an_upload_of_a_bucket_that_went_is_not_found_but_can_be_ended() -> None:
    upload = Upload("photos", "cat", "one", "token", 0, "main")
    key, _ = decisions.create_upload(EMPTY, GONE, upload)

    with pytest.raises(UploadNotFound):
        decisions.find_upload(key, HERE, "one")
    ended, _ = decisions.delete_upload(key, "one")
    assert (ended.uploads, ended.ended) == ((), ("one",))
    assert decisions.forget_ended(ended, ("one",)) == (EMPTY, None)
    with pytest.raises(UploadNotFound):
        decisions.delete_upload(ended, "one")


def test_a_tombstone_stays_while_its_event_waits() -> None:
    buried = replace(EMPTY, tombstone=Buried(Version(1, "here"), 3))

    assert decisions.purge(buried, before=4) == (EMPTY, True)
    assert decisions.purge(buried, before=3) == (buried, False)
    untold = replace(buried, events=(waiting(1),))
    assert decisions.purge(untold, before=4) == (untold, False)


def test_a_tombstone_of_the_release_before_counts_from_its_version() -> None:
    document = {"_id": "photos/cat", "tombstone": {"stamp": 7 << COUNTER_BITS, "site": "here"}}

    assert key_of(document).tombstone == Buried(Version(7 << COUNTER_BITS, "here"), 7)


def test_a_bucket_without_an_id_is_not_there() -> None:
    with pytest.raises(BucketNotFound, match="photos"):
        decisions.require_bucket(None, "photos")


def test_a_batch_has_the_oldest_events_in_the_order_of_their_versions() -> None:
    stamps = itertools.count(1)
    many = [
        Key("photos", f"{number}", events=(waiting(next(stamps)), waiting(next(stamps))))
        for number in range(BATCH)
    ]
    documents = [{"_id": id_of("photos", one.key), **fields_of(one)} for one in reversed(many)]

    batch = numbered(documents, 100)

    assert [one["_id"] for one in batch] == list(range(100, 100 + BATCH))
    assert [one["object"] for one in batch[:4]] == ["photos/0", "photos/0", "photos/1", "photos/1"]


class Contended:
    """A collection where another writer is always quicker."""

    async def one(self, _: object) -> dict[str, object]:
        return {"_id": "photos/cat", "revision": ObjectId()}

    async def update(self, _: object, __: object) -> bool:
        return False


async def test_a_key_that_others_change_all_the_time_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "LONGEST_PAUSE", 0)
    tries: list[Key] = []

    def decide(found: Key) -> tuple[Key, None]:
        tries.append(found)
        return replace(found, ended=("one",)), None

    with pytest.raises(Busy, match="photos/cat"):
        await Keys(cast("Collection", Contended())).change("photos", "cat", decide)
    assert len(tries) == keys.ATTEMPTS
