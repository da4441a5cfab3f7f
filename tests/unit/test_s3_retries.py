"""What the S3 driver asks twice, and what it never does."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from backends.errors import AccessDenied, Busy, NoSpace, PreconditionFailed, Unavailable
from backends.model import Bucket, Facts, Version
from backends.storage import http
from backends.storage.protocol import StoredPart
from backends.storage.s3 import S3Store
from backends.storage.source import BytesSource
from tests.contracts.sources import Blocks
from tests.unit.s3_endpoint import CUT, Answer, Endpoint, failure, opened, serving

MIB = 1024 * 1024
FIRST = Facts(Version(1, "here"))
BODY = BytesSource(b"meow", FIRST)
LONG = Blocks(bytes(600_000), 300_000, size=600_000)
Verb = Callable[[S3Store], Awaitable[object]]
PARTS = [StoredPart(1, "e", 4)]

SAFE: dict[str, Verb] = {
    "get": lambda store: store.get("photos", "cat"),
    "head": lambda store: store.head("photos", "cat"),
    "put": lambda store: store.put("photos", "cat", BODY),
    "put nothing": lambda store: store.put("photos", "cat", BytesSource(b"", FIRST)),
    "delete": lambda store: store.delete("photos", "cat"),
    "copy": lambda store: store.copy("photos", "cat", "e", "photos", "dog", FIRST),
    "abort": lambda store: store.abort_upload("photos", "cat", "u1"),
    "delete many": lambda store: store.delete_many("photos", ["cat"]),
}
UNSAFE: dict[str, Verb] = {
    "stream": lambda store: store.put("photos", "cat", LONG),
    "new only": lambda store: store.put("photos", "cat", BODY, replacing=""),
    "nothing, new only": lambda store: store.put(
        "photos", "cat", BytesSource(b"", FIRST), replacing=""
    ),
    "replacing": lambda store: store.put("photos", "cat", BODY, replacing="e"),
    "new upload": lambda store: store.create_upload("photos", "cat", FIRST),
    "stream of a part": lambda store: store.put_part("photos", "cat", "u1", 1, LONG),
    "completion": lambda store: store.complete_upload("photos", "cat", "u1", PARTS, FIRST),
    "bucket away": lambda store: store.delete_bucket("photos"),
}
TROUBLE = {
    "500": failure(500, "InternalError"),
    "503": failure(503, "SlowDown"),
    "502 of a proxy": Answer(502, {}, [b"<html>bad gateway"]),
    "cut": Answer(CUT),
}


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


@pytest.fixture
async def store(endpoint: Endpoint) -> AsyncIterator[S3Store]:
    """A store whose connection is open: aiohttp repeats on those alone."""
    async with opened(endpoint.url, object_tags=False) as found:
        await found.head("photos", "warm")
        endpoint.asked.clear()
        yield found


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE", 0.001)


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("verb", SAFE.values(), ids=SAFE)
async def test_what_may_happen_twice_is_asked_again(
    endpoint: Endpoint, store: S3Store, verb: Verb, trouble: Answer
) -> None:
    endpoint.answers = [trouble, trouble]

    await verb(store)

    assert len(endpoint.asked) == 3
    assert len({(one.method, one.target, one.body) for one in endpoint.asked}) == 1


@pytest.mark.parametrize("verb", SAFE.values(), ids=SAFE)
async def test_nothing_is_asked_for_ever(endpoint: Endpoint, store: S3Store, verb: Verb) -> None:
    endpoint.answers = [TROUBLE["500"]] * 9

    with pytest.raises(Unavailable):
        await verb(store)

    assert len(endpoint.asked) == 3


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("verb", UNSAFE.values(), ids=UNSAFE)
async def test_what_may_not_happen_twice_is_asked_once(
    endpoint: Endpoint, store: S3Store, verb: Verb, trouble: Answer
) -> None:
    endpoint.answers = [trouble]

    with pytest.raises(Unavailable):
        await verb(store)

    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("replacing", ["", "e"])
async def test_a_copy_on_a_condition_is_asked_once(
    endpoint: Endpoint, store: S3Store, replacing: str
) -> None:
    there = Answer(headers={"ETag": '"e"'}) if replacing else Answer(404)
    endpoint.answers = [there, Answer(CUT)]

    with pytest.raises(Unavailable):
        await store.copy("photos", "cat", "", "photos", "dog", FIRST, replacing=replacing)

    assert endpoint.methods == ["HEAD", "PUT"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure(403, "AccessDenied"), AccessDenied),
        (failure(412, "PreconditionFailed"), PreconditionFailed),
        (failure(507, "StorageFull"), NoSpace),
    ],
)
async def test_a_refusal_is_no_trouble(
    endpoint: Endpoint, store: S3Store, answer: Answer, error: type[Exception]
) -> None:
    endpoint.answers = [answer]

    with pytest.raises(error):
        await store.put("photos", "cat", BODY)

    assert len(endpoint.asked) == 1


async def test_a_bucket_is_made_though_the_first_answer_was_lost(
    endpoint: Endpoint, store: S3Store
) -> None:
    buckets = b"<Buckets><Bucket><Name>photos</Name><CreationDate>2026-01-02T03:04:05Z"
    listed = b"<ListAllMyBucketsResult>" + buckets + b"</CreationDate></Bucket></Buckets>"
    endpoint.answers = [
        Answer(404),
        Answer(CUT),
        failure(409, "BucketAlreadyOwnedByYou"),
        Answer(pieces=[listed + b"</ListAllMyBucketsResult>"]),
    ]

    await store.create_bucket(Bucket("photos", "ann", 1))

    assert endpoint.methods[:4] == ["HEAD", "PUT", "PUT", "GET"]


@pytest.mark.parametrize("verb", ["head", "delete many"])
async def test_the_pause_is_the_one_that_was_asked_for(
    endpoint: Endpoint, store: S3Store, verb: str
) -> None:
    endpoint.answers = [failure(503, "SlowDown", Retry_After="1")]
    began = time.monotonic()

    await SAFE[verb](store)

    assert time.monotonic() - began >= 1
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("verb", ["get", "delete many"])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_long_pause_is_left_to_the_caller(
    endpoint: Endpoint, store: S3Store, verb: str, form: str
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    asked = "120" if form == "seconds" else later
    endpoint.answers = [failure(503, "SlowDown", Retry_After=asked)]

    with pytest.raises(Busy) as raised:
        await SAFE[verb](store)

    assert len(endpoint.asked) == 1
    assert raised.value.retry_after == pytest.approx(120, abs=3)


@pytest.mark.parametrize("nonsense", ["soon", "-1", "", "1.5"])
async def test_a_pause_that_is_nonsense_is_none(
    endpoint: Endpoint, store: S3Store, nonsense: str
) -> None:
    endpoint.answers = [failure(503, "SlowDown", Retry_After=nonsense)]

    await store.head("photos", "cat")

    assert len(endpoint.asked) == 2
