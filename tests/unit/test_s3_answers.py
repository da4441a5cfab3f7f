"""What S3-likes answer that Amazon does not, and what Amazon does that test servers never do."""

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from backends.errors import (
    AccessDenied,
    AlreadyExists,
    BackendError,
    BucketNotFound,
    Busy,
    Corrupt,
    NotFound,
    NotSupported,
    PreconditionFailed,
    Unavailable,
)
from backends.model import Bucket, Facts, Version
from backends.storage.protocol import StoredPart
from backends.storage.s3 import S3Store
from backends.storage.source import BytesSource
from tests.contracts.sources import Blocks
from tests.unit.s3_endpoint import UPLOAD, Answer, Endpoint, failure, opened, serving

FIRST = Facts(Version(1, "here"))
SIZE = 600_000
OTHER = {"ETag": f'"{"0" * 32}"'}
KEYED = OTHER | {"x-amz-server-side-encryption": "aws:kms"}
PARTS = [StoredPart(1, "e", 4)]
TRUNCATED = "<IsTruncated>true</IsTruncated>"


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


@pytest.fixture
async def store(endpoint: Endpoint) -> AsyncIterator[S3Store]:
    async with opened(endpoint.url) as found:
        yield found


def long_body() -> Blocks:
    data = bytes(SIZE)
    digest = hashlib.md5(data).hexdigest()
    return Blocks(data, 200_000, size=SIZE, facts=Facts(Version(1, "here"), SIZE, digest))


def listing(*entries: str, more: str = "", encoded: bool = True) -> Answer:
    kind = "<EncodingType>url</EncodingType>" if encoded else ""
    found = "".join(f"<Contents>{entry}</Contents>" for entry in entries)
    return Answer(pieces=[f"<ListBucketResult>{kind}{more}{found}</ListBucketResult>".encode()])


async def keys(store: S3Store) -> list[str]:
    return [stored.key async for stored in store.listing("photos")]


async def test_a_digest_that_is_another_drops_the_object(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [Answer(headers=OTHER)]

    with pytest.raises(Corrupt, match="received 0000"):
        await store.put("photos", "cat", long_body())

    assert endpoint.methods == ["PUT", "DELETE"]


async def test_an_etag_of_bytes_under_a_key_is_no_digest(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [Answer(headers=KEYED)]

    stored = await store.put("photos", "cat", long_body())

    assert stored.locator == "0" * 32
    assert "DELETE" not in endpoint.methods


async def test_etags_that_are_no_digests_can_be_declared(endpoint: Endpoint) -> None:
    endpoint.answers = [Answer(headers=OTHER)]

    async with opened(endpoint.url, etags_are_md5=False) as store:
        await store.put("photos", "cat", long_body())

    assert "DELETE" not in endpoint.methods


@pytest.mark.parametrize("code", ["NotImplemented", "AccessDenied", "InvalidArgument"])
async def test_an_endpoint_without_tags_keeps_what_it_can(
    endpoint: Endpoint, store: S3Store, code: str
) -> None:
    status = {"NotImplemented": 501, "AccessDenied": 403, "InvalidArgument": 400}[code]
    none = failure(status, code)
    endpoint.answers = [Answer(404), Answer(), none, none, Answer()]

    await store.create_bucket(Bucket("photos", "ann", 1))
    found = await store.find_bucket("photos")
    endpoint.answers = [Answer(headers={"ETag": f'"{long_body().facts.etag}"'}), none]
    stored = await store.put("photos", "cat", long_body())

    assert found == Bucket("photos", "", 0)
    assert stored.size == SIZE


async def test_tags_can_be_left_alone(endpoint: Endpoint) -> None:
    async with opened(endpoint.url, bucket_tags=False, object_tags=False) as store:
        endpoint.answers = [Answer(404)]
        await store.create_bucket(Bucket("photos", "ann", 1))
        await store.find_bucket("photos")
        endpoint.answers = [Answer(headers=KEYED)]
        await store.put("photos", "cat", long_body())

    assert not [one for one in endpoint.asked if "tagging" in one.target]


async def test_an_object_that_is_gone_before_it_is_tagged_was_written(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [Answer(headers=KEYED), failure(404, "NoSuchKey")]

    assert (await store.put("photos", "cat", long_body())).size == SIZE


async def test_verbs_that_need_a_digest_send_the_one_that_all_know(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [Answer(headers=KEYED)]
    body = long_body()
    await store.put("photos", "cat", replace(body, facts=FIRST, late=body.facts))
    await store.delete_many("photos", ["a\r\nb"])

    digested = [one for one in endpoint.asked if one.method == "POST" or "tagging" in one.target]
    assert len(digested) == 2
    for one in digested:
        digest = hashlib.md5(one.body).digest()
        assert one.headers["Content-MD5"] == base64.b64encode(digest).decode()
        assert not [name for name in one.headers if "checksum" in name.lower()]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AccessDenied", AccessDenied), ("SlowDown", Busy), ("InternalError", Unavailable)],
)
async def test_a_delete_that_fails_for_some_is_an_error(
    endpoint: Endpoint, store: S3Store, code: str, kind: type[BackendError]
) -> None:
    failed = [f"<Error><Key>{key}</Key><Code>{code}</Code></Error>" for key in "ab"]
    gone = "<Error><Key>c</Key><Code>NoSuchKey</Code></Error>"
    document = f"<DeleteResult>{gone}{''.join(failed)}</DeleteResult>".encode()
    endpoint.answers = [Answer(pieces=[document])] * 3

    with pytest.raises(kind, match="photos/a and 1 more"):
        await store.delete_many("photos", ["a", "b", "c"])


async def test_what_a_delete_did_not_find_is_gone(endpoint: Endpoint, store: S3Store) -> None:
    gone = b"<Error><Key>a</Key><Code>NoSuchKey</Code></Error>"
    endpoint.answers = [Answer(pieces=[b"<DeleteResult>" + gone + b"</DeleteResult>"])]

    await store.delete_many("photos", ["a"])


async def test_a_plus_in_an_encoded_listing_is_a_space(endpoint: Endpoint, store: S3Store) -> None:
    endpoint.answers = [listing("<Key>a+b%2Bc%0A%C3%A9</Key>", "<Key>plain</Key>")]

    assert await keys(store) == ["a b+c\n\xe9", "plain"]


async def test_a_listing_that_is_not_encoded_is_taken_as_it_is(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [listing("<Key> a+b%20 </Key>", encoded=False)]

    assert await keys(store) == [" a+b%20 "]


async def test_a_listing_tells_what_it_knows(endpoint: Endpoint, store: S3Store) -> None:
    told = "<Key>a</Key><Size>7</Size><ETag>&quot;e&quot;</ETag>"
    endpoint.answers = [
        listing(f"{told}<LastModified>2026-01-02T03:04:05.678Z</LastModified>", "<Key>b</Key>")
    ]

    full, bare = [stored async for stored in store.listing("photos")]

    assert (full.size, full.locator, full.facts.modified) == (7, "e", 1_767_323_045_678)
    assert (bare.size, bare.locator, bare.facts.modified) == (0, "", 0)


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
async def test_a_namespace_may_be_there_or_not(
    endpoint: Endpoint, store: S3Store, namespace: str
) -> None:
    contents = "<Contents><Key>a</Key></Contents>"
    document = f"<ListBucketResult{namespace}>{contents}</ListBucketResult>"
    endpoint.answers = [Answer(pieces=[document.encode()])]

    assert await keys(store) == ["a"]


async def test_a_listing_that_is_cut_without_a_token_is_not_taken_for_whole(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [listing("<Key>a</Key>", more=TRUNCATED)]

    with pytest.raises(NotSupported, match="ListObjectsV2"):
        await keys(store)


@pytest.mark.parametrize("body", [b"", b"<html>welcome</html>", b"<ListBucketResult>"])
async def test_what_is_no_listing_lists_nothing(
    endpoint: Endpoint, store: S3Store, body: bytes
) -> None:
    endpoint.answers = [Answer(pieces=[body])]

    with pytest.raises(Unavailable, match="no listing"):
        await keys(store)


async def test_a_bucket_that_is_not_there_is_said_so_whatever_the_code(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [Answer(404)]

    with pytest.raises(BucketNotFound):
        await keys(store)


async def test_the_token_of_a_page_asks_for_the_next(endpoint: Endpoint, store: S3Store) -> None:
    token = f"{TRUNCATED}<NextContinuationToken>t/+=</NextContinuationToken>"
    endpoint.answers = [listing("<Key>b</Key>", more=token), listing("<Key>c</Key>")]

    listed = [stored.key async for stored in store.listing("photos", after="a", prefix="p q")]

    assert listed == ["b", "c"]
    first, second = (one.target for one in endpoint.asked)
    assert "start-after=a" in first
    assert "continuation-token" not in first
    assert "continuation-token=t%2F%2B%3D" in second
    assert "start-after" not in second
    assert "prefix=p%20q" in first
    assert "prefix=p%20q" in second


@pytest.mark.parametrize("verb", ["copy", "part copy"])
async def test_an_error_that_comes_with_200_is_one(endpoint: Endpoint, verb: str) -> None:
    [document] = failure(500, "InternalError").pieces
    early = [] if verb == "copy" else [Answer(pieces=[UPLOAD])]
    async with opened(endpoint.url, copy_bytes=5 * 1024 * 1024) as store:
        endpoint.answers = [*early, Answer(200, {}, [document])]
        size = 4 if verb == "copy" else 6 * 1024 * 1024
        with pytest.raises(Unavailable, match="InternalError"):
            await store.copy("photos", "a", "e", "photos", "b", Facts(Version(1, "here"), size))

    assert endpoint.methods[-1] == ("PUT" if verb == "copy" else "DELETE")


async def test_a_completion_that_fails_late_is_an_error(endpoint: Endpoint, store: S3Store) -> None:
    [document] = failure(500, "InternalError").pieces
    endpoint.answers = [Answer(200, {}, [document])]

    with pytest.raises(Unavailable, match="InternalError"):
        await store.complete_upload("photos", "cat", "u1", PARTS, FIRST)


@pytest.mark.parametrize("start", [0, 5])
async def test_an_endpoint_without_ranges_gives_no_wrong_bytes(
    endpoint: Endpoint, store: S3Store, start: int
) -> None:
    endpoint.answers = [Answer(200, {"ETag": '"e"'}, [b"0123456789"])]

    with pytest.raises(NotSupported, match="no ranges"):
        await store.get("photos", "cat", start=start, length=3)


async def test_all_that_was_asked_for_may_come_whole(endpoint: Endpoint, store: S3Store) -> None:
    endpoint.answers = [Answer(200, {"ETag": '"e"'}, [b"0123456789"])]

    body = await store.get("photos", "cat", start=0, length=10)

    assert b"".join([block async for block in body]) == b"0123456789"


async def test_without_conditional_writes_a_condition_is_refused(endpoint: Endpoint) -> None:
    async with opened(endpoint.url, conditional_writes=False) as store:
        assert not store.capabilities.conditional
        for replacing in ("", "e"):
            with pytest.raises(NotSupported):
                await store.put("photos", "cat", BytesSource(b"", FIRST), replacing=replacing)
            with pytest.raises(NotSupported):
                await store.complete_upload(
                    "photos", "cat", "u1", PARTS, FIRST, replacing=replacing
                )

    assert endpoint.methods == []


@pytest.mark.parametrize("conditional", [409, 412])
async def test_a_race_that_was_lost_is_a_failed_precondition(
    endpoint: Endpoint, store: S3Store, conditional: int
) -> None:
    code = "ConditionalRequestConflict" if conditional == 409 else "PreconditionFailed"
    endpoint.answers = [failure(conditional, code)]

    with pytest.raises(PreconditionFailed):
        await store.put("photos", "cat", BytesSource(b"meow", FIRST), replacing="")


@pytest.mark.parametrize("etag", ["e", "another"])
async def test_a_copy_that_a_condition_stops_says_which_one(
    endpoint: Endpoint, store: S3Store, etag: str
) -> None:
    endpoint.answers = [
        Answer(404),
        failure(412, "PreconditionFailed"),
        Answer(headers={"ETag": f'"{etag}"'}),
    ]
    with pytest.raises(PreconditionFailed if etag == "e" else NotFound):
        await store.copy("photos", "cat", "e", "photos", "dog", FIRST, replacing="")


@pytest.mark.parametrize("expires", ["0", "-1", "never", "Thu, 01 Dec 1994 16:00:00 GMT"])
@pytest.mark.parametrize("verb", ["put", "upload", "copy"])
async def test_content_headers_go_out_as_they_came(
    endpoint: Endpoint, store: S3Store, verb: str, expires: str
) -> None:
    facts = Facts(Version(1, "here"), headers={"expires": expires, "content-type": "a/b"})
    if verb == "put":
        await store.put("photos", "cat", BytesSource(b"meow", facts))
    elif verb == "upload":
        await store.create_upload("photos", "cat", facts)
    else:
        await store.copy("photos", "cat", "e", "photos", "dog", facts)

    headers = endpoint.asked[-1].headers
    assert (headers["Expires"], headers["Content-Type"]) == (expires, "a/b")


async def test_buckets_are_listed_over_pages(endpoint: Endpoint, store: S3Store) -> None:
    def page(name: str, more: str) -> Answer:
        date = "<CreationDate>2026-01-02T03:04:05Z</CreationDate>"
        bucket = f"<Buckets><Bucket><Name>{name}</Name>{date}</Bucket></Buckets>"
        text = f"<ListAllMyBucketsResult>{bucket}{more}</ListAllMyBucketsResult>"
        return Answer(pieces=[text.encode()])

    endpoint.answers = [page("b", "<ContinuationToken>t</ContinuationToken>"), page("a", "")]

    assert [bucket.name async for bucket in store.buckets()] == ["a", "b"]


async def test_a_bucket_of_another_account_is_taken(endpoint: Endpoint, store: S3Store) -> None:
    none = Answer(pieces=[b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"])
    endpoint.answers = [Answer(403), failure(409, "BucketAlreadyExists"), none]

    with pytest.raises(AlreadyExists):
        await store.create_bucket(Bucket("photos", "ann", 1))


async def test_an_answer_without_what_it_must_have_is_no_answer(
    endpoint: Endpoint, store: S3Store
) -> None:
    endpoint.answers = [Answer(pieces=[b"<html/>"])]

    with pytest.raises(Unavailable, match="UploadId"):
        await store.create_upload("photos", "cat", FIRST)


async def test_an_etag_that_only_looks_like_an_md5_is_not_told_as_one(
    store: S3Store, endpoint: Endpoint
) -> None:
    """Of what another program stored under KMS keys: nothing could verify the bytes by it."""
    endpoint.answers = [Answer(headers=KEYED), Answer(headers=OTHER)]

    keyed, plain = await store.head("photos", "cat"), await store.head("photos", "cat")

    assert (keyed.locator, keyed.facts.etag) == ("0" * 32, "0" * 32 + "-1")
    assert (plain.locator, plain.facts.etag) == ("0" * 32, "0" * 32)
