"""Drivers over a link that fails: only errors of ours, in time, and all is well once it heals."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pytest
from msgspec.structs import replace

from backends.errors import (
    AccessDenied,
    BackendError,
    Busy,
    Corrupt,
    InvalidPart,
    NotFound,
    Refused,
    Unavailable,
)
from backends.model import Bucket, Facts, Version
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.gcs import GCSOptions, GCSStore
from backends.storage.protocol import ObjectStore, StoredPart
from backends.storage.s3 import S3Options, S3Store
from backends.storage.source import BytesSource
from tests.services import canned
from tests.services.faults import Act, Fault, Link, Way
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY, S3_ACCESS, S3_SECRET

MIB: Final = 1024 * 1024
CONNECT: Final = 1.0
READ: Final = 1.0
IN_TIME: Final = 6.0
FACTS: Final = Facts(Version(1, "here"))
SERVERS: Final = {"s3": "versitygw", "azure": "azurite", "gcs": "fake_gcs"}
Verb = Callable[["Place"], Awaitable[object]]


def opened(kind: str, link: Link) -> ObjectStore:
    if kind == "s3":
        return S3Store(
            S3Options(
                link.url,
                access_key=S3_ACCESS,
                secret_key=S3_SECRET,
                part_bytes=5 * MIB,
                connect_seconds=CONNECT,
                read_seconds=READ,
            )
        )
    if kind == "azure":
        return AzureStore(
            AzureOptions(
                account_url=f"{link.url}/{AZURE_ACCOUNT}",
                account_key=AZURE_KEY,
                block_bytes=MIB,
                connect_seconds=CONNECT,
                read_seconds=READ,
            )
        )
    return GCSStore(
        GCSOptions(
            project="test",
            endpoint=link.url,
            anonymous=True,
            chunk_bytes=MIB,
            connect_seconds=CONNECT,
            read_seconds=READ,
        )
    )


@dataclass
class Long:
    """A body of more than one block."""

    size: int
    facts: Facts = FACTS

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, self.size, MIB // 4):
            yield bytes(min(MIB // 4, self.size - at))


@dataclass
class Place:
    """A bucket with an object `cat`, an upload of one part at `dog` and a `new` one at `cow`."""

    kind: str
    store: ObjectStore
    link: Link
    bucket: str
    upload: str = ""
    part: str = ""
    new: str = ""

    async def fill(self) -> None:
        store, bucket = self.store, self.bucket
        await store.create_bucket(Bucket(bucket, "me", 1))
        await store.put(bucket, "cat", Long(2 * MIB))
        self.upload = await store.create_upload(bucket, "dog", FACTS)
        self.part = await store.put_part(bucket, "dog", self.upload, 1, BytesSource(b"woof", FACTS))
        self.new = await store.create_upload(bucket, "cow", FACTS)


async def read(place: Place) -> bytes:
    body = await place.store.get(place.bucket, "cat")
    return b"".join([block async for block in body])


async def listed(place: Place) -> list[str]:
    return [stored.key async for stored in place.store.listing(place.bucket)]


async def buckets(place: Place) -> list[Bucket]:
    return [bucket async for bucket in place.store.buckets()]


VERBS: Final[dict[str, Verb]] = {
    "ping": lambda at: at.store.ping(),
    "create_bucket": lambda at: at.store.create_bucket(Bucket(f"{at.bucket}-new", "me", 1)),
    "find_bucket": lambda at: at.store.find_bucket(at.bucket),
    "buckets": buckets,
    "put": lambda at: at.store.put(at.bucket, "a", BytesSource(b"meow", FACTS)),
    "put blocks": lambda at: at.store.put(at.bucket, "b", Long(3 * MIB)),
    "put parts": lambda at: at.store.put(at.bucket, "c", Long(6 * MIB)),
    "get": read,
    "head": lambda at: at.store.head(at.bucket, "cat"),
    "delete": lambda at: at.store.delete(at.bucket, "gone"),
    "delete_many": lambda at: at.store.delete_many(at.bucket, ["gone", "too"]),
    "copy": lambda at: at.store.copy(at.bucket, "cat", "", at.bucket, "copy", FACTS),
    "listing": listed,
    "create_upload": lambda at: at.store.create_upload(at.bucket, "up", FACTS),
    "put_part": lambda at: at.store.put_part(
        at.bucket, "cow", at.new, 1, BytesSource(b"moo", FACTS)
    ),
    "complete_upload": lambda at: at.store.complete_upload(
        at.bucket, "dog", at.upload, [StoredPart(1, at.part, 4)], FACTS
    ),
    "abort_upload": lambda at: at.store.abort_upload(at.bucket, "other", at.upload),
}


ENDING: Final = {
    "silent": Fault(Act.SILENCE, at=-1),
    "reset": Fault(Act.RESET, at=-1),
    "garbage": Fault(Act.ANSWER, answer=canned.GARBAGE),
}
BYTES: Final = {
    "s3": "/(wrong|dog)",
    "azure": "/(wrong|.*comp=block&)",
    "gcs": "uploadType|upload_id",
}
TORN: Final = {
    "silent": Fault(Act.SILENCE, at=1),
    "cut": Fault(Act.CUT, at=1),
}
FOREIGN: Final = {"a page": canned.NO_DOCUMENT, "nothing": canned.answer(200, "OK")}
NO_ANSWER: Final = (Unavailable, type(None))
TELLING: Final = ("put", "put blocks", "put parts", "get", "head", "copy", "complete_upload")
REFUSALS: Final = [
    pytest.param(canned.FAILED, Unavailable, id="failed"),
    pytest.param(canned.THROTTLED, Busy, id="throttled"),
    pytest.param(dict.fromkeys(SERVERS, canned.TOO_MANY), Busy, id="too many"),
    pytest.param(canned.EXPIRED, AccessDenied, id="expired"),
]


@pytest.fixture(params=SERVERS)
def link(request: pytest.FixtureRequest) -> Iterator[tuple[str, Link]]:
    service: Service = request.getfixturevalue(SERVERS[request.param])
    made = Link(service.port)
    made.start()
    yield request.param, made
    made.close()


@pytest.fixture
async def place(link: tuple[str, Link]) -> AsyncIterator[Place]:
    kind, path = link
    store = opened(kind, path)
    made = Place(kind, store, path, f"f{uuid.uuid4().hex[:12]}")
    await made.fill()
    yield made
    await store.close()


async def outcome(verb: Verb, place: Place) -> tuple[BackendError | None, float]:
    """How it ended, and after how many seconds. Errors that are not ours pass."""
    started = time.monotonic()
    try:
        await verb(place)
    except BackendError as error:
        return error, time.monotonic() - started
    return None, time.monotonic() - started


async def attempt(place: Place, *faults: Fault) -> dict[str, BackendError | None]:
    """How each verb ends under these faults, all of them in time; afterwards the link is well."""
    place.link.fail(*faults)
    ended = await asyncio.gather(*(outcome(verb, place) for verb in VERBS.values()))
    place.link.heal()
    for verb, (error, seconds) in zip(VERBS, ended, strict=True):
        assert seconds < IN_TIME, f"{verb} took {seconds:.1f} s: {error}"
    return {verb: error for verb, (error, _) in zip(VERBS, ended, strict=True)}


async def require_all_well(place: Place) -> None:
    """Each verb does its work again, but for an upload that the first try completed."""
    assert len(await read(place)) == 2 * MIB
    for name, verb in VERBS.items():
        error, _ = await outcome(verb, place)
        over = name == "complete_upload" and isinstance(error, InvalidPart)
        assert error is None or over, f"{name}: {error}"


@pytest.mark.parametrize("name", ENDING)
async def test_no_answer_is_unavailable(place: Place, name: str) -> None:
    ended = await attempt(place, ENDING[name])
    assert {verb: type(error) for verb, error in ended.items()} == dict.fromkeys(VERBS, Unavailable)
    await require_all_well(place)


async def test_a_storage_that_is_not_there_is_unavailable(place: Place) -> None:
    place.link.refuse()
    ended = await asyncio.gather(*(outcome(verb, place) for verb in VERBS.values()))
    assert {type(error) for error, _ in ended} == {Unavailable}
    assert max(seconds for _, seconds in ended) < IN_TIME
    place.link.heal()
    await require_all_well(place)


@pytest.mark.parametrize("name", TORN)
async def test_half_an_answer_is_unavailable_or_asked_for_again(place: Place, name: str) -> None:
    ended = await attempt(place, TORN[name])
    wrong = {verb: error for verb, error in ended.items() if not isinstance(error, NO_ANSWER)}
    assert not wrong
    assert isinstance(ended["get"], Unavailable)
    await require_all_well(place)


async def nobody_waits(place: Place) -> None:
    async with asyncio.timeout(IN_TIME):
        while place.link.awaited:
            await asyncio.sleep(0.01)


async def test_of_an_answer_that_stops_no_connection_is_kept(place: Place) -> None:
    place.link.fail(Fault(Act.SILENCE, at=1))
    error, _ = await outcome(VERBS["get"], place)

    assert isinstance(error, Unavailable)
    await nobody_waits(place)  # while the error is held, and with it all that it was raised through


async def test_of_an_answer_that_nobody_wants_any_more_no_connection_is_kept(place: Place) -> None:
    place.link.fail(Fault(Act.SILENCE, at=1))
    reading = asyncio.create_task(read(place))
    async with asyncio.timeout(IN_TIME):
        while not place.link.awaited:
            await asyncio.sleep(0.01)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await reading

    assert cancelled.value.__traceback__
    await nobody_waits(place)


@pytest.mark.parametrize("name", FOREIGN)
async def test_an_answer_of_somebody_else_is_no_success(place: Place, name: str) -> None:
    ended = await attempt(place, Fault(Act.ANSWER, answer=FOREIGN[name]))
    wrong = {verb: error for verb, error in ended.items() if not isinstance(error, NO_ANSWER)}
    assert not wrong
    for verb in TELLING:
        assert isinstance(ended[verb], Unavailable), verb


@pytest.mark.parametrize(("answers", "kind"), REFUSALS)
async def test_what_a_storage_says_of_itself_is_an_error_of_that_kind(
    place: Place, answers: Mapping[str, bytes], kind: type[BackendError]
) -> None:
    ended = await attempt(place, Fault(Act.ANSWER, answer=answers[place.kind]))
    assert {verb: type(error) for verb, error in ended.items()} == dict.fromkeys(VERBS, kind)


async def test_one_failure_is_not_seen(place: Place) -> None:
    for name in ("get", "head", "put", "listing", "find_bucket"):
        place.link.fail(Fault(Act.ANSWER, answer=canned.THROTTLED[place.kind], times=1))
        error, _ = await outcome(VERBS[name], place)
        assert error is None, name


@pytest.mark.parametrize("size", [MIB // 2, 3 * MIB, 6 * MIB])
async def test_a_storage_that_stops_reading_is_given_up(place: Place, size: int) -> None:
    place.link.fail(Fault(Act.SILENCE, Way.REQUEST, at=1))
    error, seconds = await outcome(lambda at: at.store.put(at.bucket, "stalled", Long(size)), place)
    assert isinstance(error, Unavailable)
    assert seconds < IN_TIME
    place.link.heal()
    with pytest.raises(NotFound):
        await place.store.head(place.bucket, "stalled")


@pytest.mark.parametrize("size", [1000, 3 * MIB, 6 * MIB])
async def test_bytes_that_change_on_their_way_in_are_not_kept(place: Place, size: int) -> None:
    body = bytes(size)
    source = Long(size, replace(FACTS, etag=hashlib.md5(body).hexdigest()))
    place.link.fail(Fault(Act.FLIP, Way.REQUEST, at=900, method="PUT|POST", path=BYTES[place.kind]))
    error, _ = await outcome(lambda at: at.store.put(at.bucket, "wrong", source), place)
    assert isinstance(error, Corrupt | Refused), error  # azurite says InvalidOperation
    place.link.heal()
    with pytest.raises(NotFound):
        await place.store.head(place.bucket, "wrong")


async def test_a_part_that_changes_on_its_way_in_is_refused(place: Place) -> None:
    facts = replace(FACTS, etag=hashlib.md5(bytes(3 * MIB)).hexdigest())
    place.link.fail(Fault(Act.FLIP, Way.REQUEST, at=1000, path=BYTES[place.kind]))
    with pytest.raises(BackendError):
        await place.store.put_part(place.bucket, "dog", place.upload, 3, Long(3 * MIB, facts))
