"""What the JSON API answers, as our errors; what is asked again, and what is not."""

import json

import pytest

from backends import errors
from backends.errors import AlreadyExists, InvalidName, NotEmpty, NotFound, Refused
from backends.model import Bucket
from backends.storage.gcs import GCSStore
from backends.storage.gcs.errors import error_of
from tests.gcs.objects import BUCKET, names, put
from tests.stubs.gcs import Stub, Upset


def answer(reason: str, message: str = "words") -> bytes:
    return json.dumps({"error": {"errors": [{"reason": reason}], "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, answer("invalid"), errors.Refused),
        (400, answer("invalid", 'Provided CRC32C "a" doesn\'t match "b"'), errors.Corrupt),
        (401, answer("authError"), errors.AccessDenied),
        (403, answer("forbidden"), errors.AccessDenied),
        (403, answer("rateLimitExceeded"), errors.Busy),
        (403, answer("userRateLimitExceeded"), errors.Busy),
        (404, answer("notFound"), errors.NotFound),
        (408, b"", errors.Unavailable),
        (409, answer("conflict"), errors.AlreadyExists),
        (410, b"", errors.NotFound),
        (412, answer("conditionNotMet"), errors.PreconditionFailed),
        (416, b"", errors.NotFound),
        (429, answer("rateLimitExceeded"), errors.Busy),
        (500, answer("backendError"), errors.Unavailable),
        (502, b"<html>bad gateway</html>", errors.Unavailable),
        (503, b"\xff\x00", errors.Busy),
        (504, b'{"error": "odd"}', errors.Unavailable),
        (418, b"[]", errors.Refused),
    ],
)
def test_each_answer_is_an_error(status: int, body: bytes, kind: type[errors.BackendError]) -> None:
    error = error_of(status, body, "GET /cat")

    assert isinstance(error, kind)
    assert str(error).startswith(f"GET /cat: the storage answered {status}")


def test_an_error_tells_the_reason_and_the_words() -> None:
    body = answer("forbidden", "ann has no\n storage.objects.get")

    assert str(error_of(403, body, "x")).endswith("403 forbidden ann has no storage.objects.get")


def test_an_error_is_no_longer_than_one_likes_to_read() -> None:
    assert len(str(error_of(500, b"x" * 100_000, "x"))) < 400


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_passes_is_asked_again(stub: Stub, store: GCSStore, status: int) -> None:
    stub.upsets = [Upset("^POST /upload", status=status, times=2)]

    await put(store, "cat", b"meow", "")

    assert names(stub) == ["cat"]
    assert stub.count("^POST /upload") == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412])
async def test_what_stays_is_not_asked_again(stub: Stub, store: GCSStore, status: int) -> None:
    stub.upsets = [Upset("^POST /upload", status=status, times=9)]

    with pytest.raises(errors.BackendError):
        await put(store, "cat", b"meow")

    assert stub.count("^POST /upload") == 1


@pytest.mark.parametrize(
    "name",
    ["goog-photos", "my-google", "a-g00gle-b", "ab", "Photos", "a/b", "-ab", "a" * 64, "1.2.3.4"],
)
async def test_a_name_that_no_bucket_can_have(stub: Stub, store: GCSStore, name: str) -> None:
    with pytest.raises(InvalidName, match="Google Cloud Storage takes"):
        await store.create_bucket(Bucket(name, "ann", 1))

    assert stub.calls == []


@pytest.mark.parametrize("name", ["a/b", "..", "a?b", "goog-photos"])
async def test_what_cannot_be_a_bucket_is_none(store: GCSStore, name: str) -> None:
    with pytest.raises(NotFound):
        await store.find_bucket(name)
    with pytest.raises(NotFound):
        await store.head(name, "cat")


async def test_a_name_that_another_project_has(stub: Stub, store: GCSStore) -> None:
    stub.others = {"taken"}

    with pytest.raises(AlreadyExists):
        await store.create_bucket(Bucket("taken", "ann", 1))


async def test_a_bucket_that_is_there_stays_as_it_is(store: GCSStore) -> None:
    await store.create_bucket(Bucket(BUCKET, "bob", 2))

    assert (await store.find_bucket(BUCKET)).owner == "ann"


async def test_a_bucket_that_another_tool_made_has_no_owner(stub: Stub, store: GCSStore) -> None:
    del stub.buckets[BUCKET].items[".clone-cloud-store/bucket"]

    assert (await store.find_bucket(BUCKET)).owner == ""


async def test_a_bucket_is_made_at_most_once(stub: Stub, store: GCSStore) -> None:
    stub.upsets = [Upset("^POST /storage/v1/b", status=503)]

    with pytest.raises(errors.Busy):
        await store.create_bucket(Bucket("animals", "ann", 1))

    assert stub.count("^POST /storage/v1/b") == 1


async def test_a_bucket_with_objects_is_not_deleted(stub: Stub, store: GCSStore) -> None:
    await put(store, "cat", b"meow")

    with pytest.raises(NotEmpty):
        await store.delete_bucket(BUCKET)

    assert names(stub) == ["cat"]


async def test_a_name_that_is_too_long_is_refused(store: GCSStore) -> None:
    with pytest.raises(Refused):
        await put(store, "\n" * 1000, b"meow")
